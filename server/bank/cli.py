# SPDX-License-Identifier: Apache-2.0
"""Commands about bank partners and their files."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from server.bank import exporting, intake, partners, quarantine, sftp, sftp_client, status
from server.bank.files.declaration import CARD_REASONS
from server.bank.files.manifest import MANIFEST_BYTES_MAX, SUFFIX
from server.bank.files.reasons import REASONS
from server.bank.folders import Folders
from server.bank.intake import Delivery, Intake, Outcome, Progress
from server.bank.partners import Access
from server.console import CONSOLE_ACTOR, Console, example, json_option, show
from server.errors import Refused

by_option = click.option("--by", "actor", required=True, help="the staff user who does it")
dry_option = click.option("--dry-run", is_flag=True, help="say what would happen; keep nothing")


@click.group()
def bank() -> None:
    """合作银行 Bank partners: files out and in, answers, channels."""


@bank.group("partner", epilog=example("yika-server bank partner list"))
def partner_group() -> None:
    """合作银行 Partners and how they come in."""


@partner_group.command("add", epilog=example("yika-server bank partner add bank-one.toml --by li"))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@by_option
@json_option
@click.pass_obj
def partner_add(console: Console, file: Path, actor: str, as_json: bool) -> None:
    """登记 Take in a declaration, new or changed; print our keys for the partner."""
    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("declaration", f"{file} 不是 UTF-8", f"{file} is not UTF-8") from error
    with console.runtime() as runtime, runtime.database.writing() as session:
        made, new = partners.declare(session, runtime.store, text, actor, runtime.clock.utc_ms())
        document = {
            "code": made.code, "new": new, "suite": made.declared.suite,
            "sign_public": made.row.sign_public, "open_public": made.row.open_public,
            "whitelist": list(made.declared.whitelist),
        }  # fmt: skip
    shown = f"{document['code']}\n签名公钥 signing key:\n{document['sign_public']}"
    if document["open_public"]:
        shown += f"\n加密公钥 encryption key:\n{document['open_public']}"
    show(document, shown, as_json=as_json)


@partner_group.command("list", epilog=example("yika-server bank partner list --json"))
@json_option
@click.pass_obj
def partner_list(console: Console, as_json: bool) -> None:
    """列出 List the partners."""
    with console.reading() as session:
        rows = [
            {
                "code": one.code, "name": one.declared.name_zh, "state": one.row.state,
                "environment": "test" if one.declared.test else "production",
                "profile": one.declared.profile.name, "suite": one.declared.suite,
                "encryption": one.declared.encryption, "kinds": list(one.declared.kinds),
            }
            for one in partners.listed(session)
        ]  # fmt: skip
    text = "\n".join(f"{row['code']} {row['name']}: {row['state']} · {row['profile']}"
                     for row in rows)  # fmt: skip
    show({"partners": rows}, text or "没有合作银行 none", as_json=as_json)


@partner_group.command(
    "access",
    epilog=example("yika-server bank partner access BANK-1 --ssh-key bank.pub --by li"),
)
@click.argument("code")
@click.option("--ssh-key", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--account", help="name of its service account, for HTTPS")
@by_option
@click.pass_obj
def partner_access(
    console: Console, code: str, ssh_key: Path | None, account: str | None, actor: str
) -> None:
    """接入 Note how a partner comes in: its SSH public key, its service account."""
    key = sftp.checked_key(ssh_key.read_text("utf-8")) if ssh_key else None
    with console.writing() as session:
        access = Access(ssh_key=key, account=account)
        partners.set_access(session, code, access, actor, console.clock.utc_ms())


@partner_group.command(
    "switch", epilog=example("yika-server bank partner switch BANK-1 off --by li")
)
@click.argument("code")
@click.argument("state", type=click.Choice(["active", "off"]))
@by_option
@click.pass_obj
def partner_switch(console: Console, code: str, state: str, actor: str) -> None:
    """启停 Switch a partner off, or on again."""
    with console.writing() as session:
        partners.set_state(session, code, state, actor, console.clock.utc_ms())


@bank.command("export", epilog=example("yika-server bank export BANK-1 --by li --dry-run"))
@click.argument("code")
@click.option("--limit", type=click.IntRange(1, exporting.ORDERS_MAX),
              default=exporting.ORDERS_MAX, show_default=True)  # fmt: skip
@by_option
@dry_option
@json_option
@click.pass_obj
def bank_export(
    console: Console, code: str, limit: int, actor: str, dry_run: bool, as_json: bool
) -> None:
    """导出制卡文件 Write the orders that wait for a partner into one file."""
    with _intake(console) as desk:
        made = exporting.export(desk, code, actor, limit=limit, dry_run=dry_run)
    text = f"{made.name or '没有待制卡 nothing to order'}: {made.orders}"
    for one in made.skipped:
        text += f"\n{one.order_no}: {one.zh} · {one.en}"
    show(asdict(made), text, as_json=as_json)


@bank.command(
    "import", epilog=example("yika-server bank import BANK-1 YIKA_BANK-1_RES_00000001.dat")
)
@click.argument("code")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@dry_option
@json_option
@click.pass_obj
def bank_import(console: Console, code: str, file: Path, dry_run: bool, as_json: bool) -> None:
    """导入 Receive one file; its manifest lies beside it."""
    note = file.with_name(file.name + SUFFIX)
    manifest = b""
    if note.exists():
        with note.open("rb") as source:
            manifest = source.read(MANIFEST_BYTES_MAX + 1)
    with _intake(console) as desk, _progress(not as_json) as progress:
        delivery = Delivery(code, file, manifest, "console", CONSOLE_ACTOR)
        outcome = intake.receive(desk, delivery, dry_run=dry_run, progress=progress)
    _tell([outcome], as_json)


@bank.command("collect", epilog=example("yika-server bank collect BANK-1 --visit"))
@click.argument("code")
@click.option("--visit", is_flag=True, help="first fetch from, and bring to, its own SFTP server")
@json_option
@click.pass_obj
def bank_collect(console: Console, code: str, visit: bool, as_json: bool) -> None:
    """收取 Receive every whole file in a partner's folder."""
    with _intake(console) as desk:
        if visit:
            asyncio.run(sftp_client.visit(desk, code))
        outcomes = intake.collect(desk, code, "folder")
        if visit:
            asyncio.run(sftp_client.visit(desk, code))
    _tell(outcomes, as_json)


@bank.command("status", epilog=example("yika-server bank status BANK-1 --json"))
@click.argument("code", required=False)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@json_option
@click.pass_obj
def bank_status(console: Console, code: str | None, limit: int, as_json: bool) -> None:
    """状态 List files both ways, newest first, and what is overdue; 1 when something is."""
    with console.reading() as session:
        rows = status.files(session, code, limit)
        late = status.unanswered(session, console.clock.utc_ms(), code)
        waiting = status.quarantined(session, code)
    text = "\n".join(
        f"{row['direction']:>3} {row['name']} {row['status']} "
        f"{row['accepted']}+{row['rejected']}+{row['quarantined']}/{row['records']}"
        for row in rows
    )
    text += "".join(f"\n! {name}: 未收到回执 no answer" for name in late)
    if waiting:
        text += f"\n! 待人工 in quarantine: {waiting}"
    show({"files": rows, "unanswered": late, "quarantined": waiting}, text.strip() or "—",
         as_json=as_json)  # fmt: skip
    if late:
        raise SystemExit(1)


@bank.command("resend", epilog=example("yika-server bank resend BANK-1 7 --by li"))
@click.argument("code")
@click.argument("sequence", type=click.IntRange(1, 99_999_999))
@by_option
@click.pass_obj
def bank_resend(console: Console, code: str, sequence: int, actor: str) -> None:
    """重发 Put an earlier order file out again, the same bytes."""
    with _intake(console) as desk:
        click.echo(exporting.resend(desk, code, sequence, actor))


@bank.command("withdraw", epilog=example("yika-server bank withdraw BANK-1 7 --by li"))
@click.argument("code")
@click.argument("sequence", type=click.IntRange(1, 99_999_999))
@by_option
@click.pass_obj
def bank_withdraw(console: Console, code: str, sequence: int, actor: str) -> None:
    """撤回 Take back an order file that the partner refused; its orders wait again."""
    with _intake(console) as desk:
        click.echo(exporting.withdraw(desk, code, sequence, actor))


@bank.command("resolve", epilog=example("yika-server bank resolve 12 7 CHIP --by li"))
@click.argument("file_id", type=int)
@click.argument("line", type=int)
@click.argument("reason", type=click.Choice([*CARD_REASONS]))
@by_option
@click.pass_obj
def bank_resolve(console: Console, file_id: int, line: int, reason: str, actor: str) -> None:
    """裁定 Say what the unknown reason of a record in quarantine means."""
    with console.writing() as session:
        found = quarantine.resolve(session, (file_id, line), reason, actor, console.clock.utc_ms())
    click.echo(f"{found.zh} · {found.en}")


@bank.command("explain", epilog=example("yika-server bank explain R09"))
@click.argument("code", required=False)
@json_option
def bank_explain(code: str | None, as_json: bool) -> None:
    """解释 Say what a reason code means, or list all."""
    table = {
        **{one.code: (one.zh, one.en) for one in REASONS.values()},
        **CARD_REASONS,
    }
    if code is not None and code not in table:
        raise Refused("unknown-code", f"没有代码 {code}", f"no code {code}: see bank explain")
    chosen = {code: table[code]} if code is not None else table
    show({name: {"zh": zh, "en": en} for name, (zh, en) in chosen.items()},
         "\n".join(f"{name}: {zh} · {en}" for name, (zh, en) in chosen.items()),
         as_json=as_json)  # fmt: skip


@bank.command("serve-sftp", epilog=example("yika-server bank serve-sftp --port 2222"))
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65_535), default=2222, show_default=True)
@click.pass_obj
def bank_serve_sftp(console: Console, host: str, port: int) -> None:
    """SFTP 服务 Let partners in by SFTP; what they put down is received at once."""
    with _intake(console) as desk:
        asyncio.run(_serve(desk, host, port))


async def _serve(desk: Intake, host: str, port: int) -> None:
    acceptor, counter = await sftp.listen(desk, host, port)
    key = sftp.host_key(desk.folders.root).export_public_key().decode().strip()
    click.echo(f"{host}:{acceptor.get_port()} {key}")
    async with acceptor:
        await counter.serve()


@contextmanager
def _intake(console: Console) -> Iterator[Intake]:
    with console.runtime() as runtime:
        folders = Folders(runtime.config.data.dir)
        yield Intake(runtime.database, runtime.store, folders, runtime.clock)


@contextmanager
def _progress(wanted: bool) -> Iterator[Progress | None]:
    """Show how many records were read, where a person watches."""
    if not wanted or not sys.stderr.isatty():
        yield None
        return
    yield _show_count
    click.echo(err=True)


def _show_count(count: int) -> None:
    click.echo(f"\r{count}", err=True, nl=False)


def _tell(outcomes: list[Outcome], as_json: bool) -> None:
    """Say what became of files; end 1 when one did not count."""
    for one in outcomes:
        document = {
            **asdict(one), "answer": one.answer.name if one.answer else None,
            "status": str(one.status),
        }  # fmt: skip
        text = f"{one.name}: {one.status} {one.accepted}+{one.rejected}+{one.quarantined}"
        if one.repeated:
            text += " 此前已处理 · answered before"
        if one.finding is not None:
            text += "\n" + one.finding.text(one.name)
        click.echo(json.dumps(document, ensure_ascii=False) if as_json else text)
    if not all(one.ok for one in outcomes):
        raise SystemExit(1)


COMMANDS = [bank]
