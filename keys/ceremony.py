# SPDX-License-Identifier: Apache-2.0
"""The key ceremony: three people, three components, one key that none of them has.

Each custodian comes to the screen alone and either types their component of every key twice, blind,
or gets one that the machine made, copies it and types it once to prove the copy. They see its check
value and nothing else. For a new store each also takes away a share of its passphrase; any two
custodians open it. Components are held in memory until all agree and are combined for the store
alone (``deposit``); whoever stops before that leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from keys.audit import utc_now
from keys.ceremony_entry import compared, given, tried
from keys.ceremony_plan import Event, KeyOrder, Outcome, Person, Plan, checked_kcv
from keys.ceremony_shares import SHARES, Share, new_passphrase, read_share, share_out
from keys.ceremony_steps import Ask, Clear, Say, Script, ShowOnce
from keys.errors import CeremonyAborted, CeremonyError, CustodianRepeated, ShareUnreadable

CUSTODIANS = SHARES
NAME_MAX = 64
KEYS_MAX = 16


class Ceremony:
    """Lead one ceremony; ``script`` is driven to its end or thrown away.

    ``outcome`` fills while it goes on and is wiped when it ends otherwise than well.
    """

    def __init__(self, plan: Plan, now: Callable[[], datetime] = utc_now) -> None:
        least = 0 if plan.new_store else 1
        if not least <= len(plan.keys) <= KEYS_MAX or len(set(plan.keys)) != len(plan.keys):
            raise CeremonyAborted("plan", f"{least} to {KEYS_MAX} different keys are possible")
        self._plan = plan
        self._now = now
        self.outcome = Outcome(plan)
        self._shares: tuple[Share, ...] = ()

    def script(self) -> Script[Outcome]:
        """Yield the steps of the whole ceremony and return what is to be stored.

        Raises:
            CeremonyAborted: somebody said no or erred too often; the cause is chained to it.
        """
        try:
            yield from self._opening()
            for number, person in enumerate(self._custodians(), 1):
                yield from self._turn(number, person)
            yield from self._agreement()
        except BaseException:
            self.outcome.wipe()
            raise
        return self.outcome

    def _custodians(self) -> list[Person]:
        return [person for person in self.outcome.people if person.role == "custodian"]

    def _opening(self) -> Script[None]:
        plan = self._plan
        yield Clear()
        yield Say("义卡密钥仪式", "Yika key ceremony")
        if plan.rehearsal:
            yield Say("演练：测试密钥，不得用于生产", "REHEARSAL: test keys, never for production")
        for order in plan.keys:
            yield Say(f"密钥 {order}", f"key {order}")
        if not plan.keys:
            yield Say("只换发口令分片", "new shares of the passphrase, no new keys")
        yield from self._name("主持人姓名", "name of the ceremony officer", "officer")
        for number in range(1, CUSTODIANS + 1):
            yield from self._name(
                f"第 {number} 位密钥分量保管人姓名", f"name of custodian {number}", "custodian"
            )
        if plan.new_store:
            self.outcome.passphrase = new_passphrase()
            self._shares = share_out(self.outcome.passphrase)
        self._note("begun")

    def _name(self, zh: str, en: str, role: str) -> Script[None]:
        taken = {person.name.casefold() for person in self.outcome.people}

        def reader(text: str) -> str:
            name = " ".join(text.split())
            if not 0 < len(name) <= NAME_MAX or not name.isprintable():
                raise CeremonyError(f"a name of 1 to {NAME_MAX} characters is needed")
            if name.casefold() in taken:
                raise CustodianRepeated(name)
            return name

        name = yield from tried("names", Ask(zh, en), reader)
        self.outcome.people.append(Person(name, role))

    def _turn(self, number: int, person: Person) -> Script[None]:
        """Have one custodian alone at the screen."""
        yield Clear()
        yield Say(
            f"第 {number} 位：{person.name} 一人在屏幕前", f"{person.name} is alone at the screen"
        )
        for order in self._plan.keys:
            if self._plan.generated:
                part = yield from given(order)
            else:
                part = yield from compared(number, order)
            self.outcome.parts.setdefault(order, []).append(part)
            how = "component made and proved" if self._plan.generated else "component entered twice"
            self._note(how, person.name, order, part.kcv(order.algorithm))
        if self._shares:
            yield from self._share(self._shares[number - 1])
            self._note(f"share {number} of the passphrase given", person.name)
        yield Clear()

    def _share(self, share: Share) -> Script[None]:
        yield ShowOnce(
            "口令分片：抄在另一个信封里", "your share of the passphrase: another envelope",
            share.written(),
        )  # fmt: skip

        def reader(text: str) -> Share:
            if read_share(text) != share:
                raise ShareUnreadable("it is another share than the one just shown")
            return share

        ask = Ask("照抄写输入一次口令分片", "type your share once from your copy", secret=True)
        yield from tried("share", ask, reader)

    def _agreement(self) -> Script[None]:
        """Combine for the check value only, and have everybody agree to it."""
        yield Say("三位保管人与主持人都到屏幕前", "everybody comes to the screen")
        for order, parts in self.outcome.parts.items():
            kcv = checked_kcv(order, parts)
            yield Say(f"{order} 校验值 {kcv}", f"{order}: check value {kcv}")
            self._note("key combined", key=order, kcv=kcv)
        said = yield Ask("写入密钥库？输入 yes", "store it? type yes")
        if said.strip().lower() != "yes":
            raise CeremonyAborted("agreement", "not everybody said yes")
        self._note("agreed")

    def _note(self, what: str, who: str = "", key: KeyOrder | None = None, kcv: str = "") -> None:
        at = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
        self.outcome.events.append(Event(at, what, who, str(key or ""), kcv))
