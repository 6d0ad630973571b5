# SPDX-License-Identifier: Apache-2.0
"""The letter that goes with a new box: one sheet with a code to scan, and the steps in words."""

from __future__ import annotations

from html import escape

import segno

from swipe.invitation import Invitation

_SHEET = """\
<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><title>{name} · 义卡 Yika</title>
<style>
@page {{ size: A4; margin: 20mm }}
body {{ font: 12pt/1.6 "Noto Sans CJK SC", "Noto Sans", sans-serif; color: #111; max-width: 170mm;
 margin: 10mm auto }}
h1 {{ font-size: 20pt; margin: 0 }}
.sub {{ color: #555; margin: 0 0 8mm }}
.code {{ display: flex; gap: 10mm; align-items: center; border: .4mm solid #111; padding: 6mm }}
.code svg {{ width: 62mm; height: 62mm; flex: none }}
.pair {{ font: 700 22pt/1.3 "Noto Sans Mono", monospace; letter-spacing: .06em }}
dt {{ font-weight: 700 }} dd {{ margin: 0 0 2mm; font-family: "Noto Sans Mono", monospace;
 overflow-wrap: anywhere }}
ol {{ padding-left: 6mm }} li {{ margin-bottom: 2mm }} .en {{ color: #444 }}
.line {{ font: 8pt/1.4 "Noto Sans Mono", monospace; overflow-wrap: anywhere }}
</style></head><body>
<h1>{name}</h1><p class="sub">终端入网单 · letter for terminal {terminal_id}</p>
<div class="code">{qr}<div><div>配对码 pairing code</div><div class="pair">{code}</div>
<dl><dt>服务器 server</dt><dd>{url}</dd>
<dt>服务器密钥 server key</dt><dd>{key}</dd></dl></div></div>
<ol>
<li>接上读卡器、PSAM、电源和网络。<br>
<span class="en">Connect reader, PSAM, power and network.</span></li>
<li>在终端上运行 <code>yika-terminal provision</code>，扫描上面的码。<br><span class="en">Run
<code>yika-terminal provision</code> on the box and scan the code above.</span></li>
<li>把屏幕上的密钥指纹读给第二位管理员核对并批准。<br><span class="en">Read the fingerprint on the
screen to a second administrator, who compares and approves.</span></li>
<li>运行 <code>yika-terminal doctor</code>；全部为“好”即可刷卡。<br><span class="en">Run
<code>yika-terminal doctor</code>; when every line is ok, cards can be tapped.</span></li>
</ol>
<p>此码七天内有效，仅限一台终端。用后请销毁。<br>
<span class="en">Good for seven days and one box. Destroy it after use.</span></p>
<p class="line">{line}</p>
</body></html>
"""


def letter(name: str, terminal_id: int, invitation: Invitation) -> str:
    """Return the letter as one HTML page that needs nothing else."""
    line = invitation.to_text()
    qr = segno.make(line, error="m", micro=False).svg_inline(scale=4, border=2)
    spaced = " ".join(invitation.key_digest[at : at + 4] for at in range(0, 32, 4))
    return _SHEET.format(
        name=escape(name),
        terminal_id=terminal_id,
        qr=qr,
        code=escape(invitation.code),
        url=escape(invitation.url),
        key=spaced,
        line=escape(line),
    )
