// SPDX-License-Identifier: Apache-2.0
// Ask the browser for a passkey, put its answer into the form, send the form.
"use strict";

function bytes(text) {
  const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(plain, (char) => char.charCodeAt(0));
}

function text(buffer) {
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

function known(list) {
  return (list || []).map((each) => ({ ...each, id: bytes(each.id) }));
}

async function created(options) {
  options.challenge = bytes(options.challenge);
  options.user.id = bytes(options.user.id);
  options.excludeCredentials = known(options.excludeCredentials);
  const made = await navigator.credentials.create({ publicKey: options });
  return { made, response: { attestationObject: text(made.response.attestationObject) } };
}

async function found(options) {
  options.challenge = bytes(options.challenge);
  options.allowCredentials = known(options.allowCredentials);
  const made = await navigator.credentials.get({ publicKey: options });
  const { authenticatorData, signature, userHandle } = made.response;
  const response = { authenticatorData: text(authenticatorData), signature: text(signature) };
  if (userHandle) response.userHandle = text(userHandle);
  return { made, response };
}

async function answer(form) {
  const options = JSON.parse(form.dataset.options);
  const { made, response } = await (form.dataset.passkey === "create" ? created : found)(options);
  response.clientDataJSON = text(made.response.clientDataJSON);
  return JSON.stringify({
    id: made.id,
    rawId: text(made.rawId),
    type: made.type,
    response,
    clientExtensionResults: {},
  });
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const fault = form.querySelector("[data-passkey-fault]");
    fault.textContent = "";
    try {
      form.elements.answer.value = await answer(form);
      form.submit();
    } catch (error) {
      fault.textContent = fault.dataset.passkeyFault;
    }
  });
}
