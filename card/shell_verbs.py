# SPDX-License-Identifier: Apache-2.0
"""The shell's commands: each with usage, label and an example that works.

>>> print(*run_line(Shell(None), "sw 6A82"), sep=chr(10))
6A82 文件未找到 / file not found
请确认是义工证 / check that it is a volunteer card
"""

from __future__ import annotations

from pathlib import Path

from card.access import words as right_words
from card.apdu import CommandApdu
from card.commands import get_balance, read_record, select_fid, select_name
from card.decode import describe, record_lines, shown
from card.errors import LayoutError, MalformedApdu
from card.file_access import read_file
from card.files import MASTER_FILE, MF_FID, Directory, FileKind, FileSpec
from card.layouts import PHOTO_HEAD
from card.operation import exchange, fetch, run
from card.secure_messaging import read_maced
from card.shell import REALLY, Shell, ShellError, Verb, words_of
from card.shell_names import DIRECTORIES, UnknownName, find_file
from card.status_words import STATUS_WORDS, Text
from card.status_words import describe as describe_status
from card.trace_save import save_as
from card.volunteer import authenticate_desk, read_composite, select


def run_line(shell: Shell, line: str) -> list[str]:
    """Run one line and return what it says; an empty line or a comment says nothing.

    Raises:
        ShellError: The line makes no sense.
        CardError: The card or its reader failed.
    """
    words = words_of(line)
    if not words:
        return []
    verb = VERBS.get(words[0])
    if verb is None:
        raise ShellError(Text(f"没有命令 {words[0]}", f"there is no command {words[0]}"))
    try:
        return verb.act(shell, words[1:])
    except (IndexError, ValueError, MalformedApdu, UnknownName) as exc:
        reason = exc.reason if isinstance(exc, UnknownName) else type(exc).__name__
        usage = f"{verb.name} {verb.usage}".strip()
        raise ShellError(
            Text(f"参数不对（{reason}）", f"wrong arguments ({reason})"),
            Text(f"用法 {usage}", f"usage: {usage}; example: {verb.example}"),
        ) from exc


def _help(_shell: Shell, words: list[str]) -> list[str]:
    if words:
        verb = VERBS.get(words[0])
        if verb is None:
            raise ShellError(Text(f"没有命令 {words[0]}", f"there is no command {words[0]}"))
        return [
            f"{verb.name} {verb.usage}".strip(),
            f"  {verb.label.zh} / {verb.label.en}",
            f"  例 example: {verb.example}",
        ]
    width = max(len(verb.name) for verb in VERBS.values())
    return [f"{v.name:{width}}  {v.label.zh} / {v.label.en}" for v in VERBS.values()]


def _select(shell: Shell, words: list[str]) -> list[str]:
    name = words[0].lower()
    if name in DIRECTORIES:
        found = DIRECTORIES[name]
        command = select_fid(MF_FID) if found is MASTER_FILE else select_name(found.name)
    elif len(name) == 4:
        command = select_fid(int(name, 16))
    else:
        command = select_name(bytes.fromhex(name))
    return shell.send(command, really=True)


def _ls(shell: Shell, _words: list[str]) -> list[str]:
    directory = _here(shell)
    return [
        f"{spec.fid:04X}  {spec.kind.label.en:16} {spec.label.zh} / {spec.label.en}"
        f"  [{right_words(spec.read).zh} / {right_words(spec.read).en}]"
        for spec in directory.files
    ]


def _read(shell: Shell, words: list[str]) -> list[str]:
    spec = find_file(words[0], _here(shell))
    if spec.kind is FileKind.PURSE:
        return _balance(shell, [])
    if spec.kind is FileKind.CYCLIC:
        return _record(shell, [words[0], "1"])
    if spec.kind is FileKind.VARIABLE:
        composite = run(read_composite(), shell.connection)
        return _fields(spec, composite.to_bytes())
    size = spec.layout.size if spec.layout is PHOTO_HEAD else spec.size
    key = None if shell.desk is None else shell.desk.maintenance
    content = run(read_file(spec, size, key), shell.connection)
    return ["从未写入 / never written"] if content is None else _fields(spec, content)


def _record(shell: Shell, words: list[str]) -> list[str]:
    spec, number = find_file(words[0], _here(shell)), int(words[1])
    command = read_record(spec.sfi, number)
    if spec.maced_reads and shell.desk is not None:
        content = run(read_maced(command, shell.desk.maintenance), shell.connection)
    else:
        content = run(exchange(command), shell.connection).data
    return _fields(spec, content)


def _balance(shell: Shell, _words: list[str]) -> list[str]:
    found = run(fetch(get_balance(), 4), shell.connection)
    return [f"余额 / balance: {int.from_bytes(found, 'big')}"]


def _desk(shell: Shell, _words: list[str]) -> list[str]:
    if shell.derive_desk is None:
        raise ShellError(
            Text("没有密钥库", "there is no key store"),
            Text("启动时加 --store", "start the shell with --store"),
        )
    face = run(select(), shell.connection)
    desk = shell.derive_desk(face.asn, face.key_version)
    run(authenticate_desk(desk, shell.guard), shell.connection)
    shell.desk = desk
    return [f"柜台密钥已认证 / desk key proved: {face.asn.hex().upper()}"]


def _apdu(shell: Shell, words: list[str]) -> list[str]:
    digits = "".join(word for word in words if word != REALLY)
    command = CommandApdu.from_bytes(bytes.fromhex(digits))
    return shell.send(command, really=REALLY in words)


def _send(shell: Shell, words: list[str]) -> list[str]:
    given = [word for word in words[1:] if word != REALLY]
    arguments = dict(word.split("=", 1) for word in given)
    return shell.send(shell.build(words[0], arguments), really=REALLY in words)


def _decode(shell: Shell, words: list[str]) -> list[str]:
    command = bytes.fromhex(words[0])
    answer = bytes.fromhex(words[1]) if len(words) > 1 else bytes.fromhex("9000")
    if len(answer) < 2:
        raise ValueError("an answer ends in a status word")
    sw = int.from_bytes(answer[-2:], "big")
    file = shell.file_of(CommandApdu.from_bytes(command))
    return describe(command, answer[:-2], sw, file).lines()


def _sw(_shell: Shell, words: list[str]) -> list[str]:
    sw = int(words[0], 16)
    row = describe_status(sw)
    lines = [f"{sw:04X} {row.meaning.zh} / {row.meaning.en}"]
    if row.advice.en:
        lines.append(f"{row.advice.zh} / {row.advice.en}")
    return lines


def _trace(shell: Shell, words: list[str]) -> list[str]:
    path = Path(words[0])
    try:
        save_as(shell.trace.tape(), path)
    except OSError as exc:
        raise ShellError(Text(f"无法写入 {path}", f"cannot write {path}: {exc.strerror}")) from exc
    return [f"{path}: {len(shell.trace.exchanges)} exchanges"]


def _reset(shell: Shell, _words: list[str]) -> list[str]:
    shell.reset()
    return ["已断电重启 / power taken away and given back"]


def _quit(shell: Shell, _words: list[str]) -> list[str]:
    shell.done = True
    return []


def _here(shell: Shell) -> Directory:
    if shell.directory is None:
        raise ShellError(
            Text("尚未选择目录", "no directory is selected"),
            Text("先输入 select volunteer", "first: select volunteer"),
        )
    return shell.directory


def _fields(spec: FileSpec, content: bytes) -> list[str]:
    """Return a content by fields, or as bytes where it does not fit its layout."""
    lines = [f"{spec.fid:04X} {spec.label.zh} / {spec.label.en}"]
    if spec.layout is not None:
        try:
            record = spec.layout.parse(content)
        except LayoutError as exc:
            lines.append(f"  !! {exc.meaning.zh} / {exc.meaning.en}")
        else:
            return lines + [f"  {line}" for line in record_lines(spec.layout, record)]
    return [*lines, f"  {shown(content)}"]


def _table(*verbs: Verb) -> dict[str, Verb]:
    return {verb.name: verb for verb in verbs}


# fmt: off
VERBS: dict[str, Verb] = _table(
    Verb("help", "[COMMAND]", Text("帮助", "what there is, and how"), "help read", _help),
    Verb("select", "mf|volunteer|FID|AID", Text("选择目录或文件", "select a directory or file"),
         "select volunteer", _select),
    Verb("ls", "", Text("列出所选目录的文件", "list the files of the directory"), "ls", _ls),
    Verb("read", "FILE", Text("读文件并解码", "read a file, field by field"), "read 0015", _read),
    Verb("record", "FILE NUMBER", Text("读一条记录", "read one record, 1 is the newest"),
         "record 0018 1", _record),
    Verb("balance", "", Text("读余额", "read the balance"), "balance", _balance),
    Verb("desk", "", Text("用柜台密钥认证", "prove the desk key (needs --store)"), "desk", _desk),
    Verb("apdu", f"HEX… [{REALLY}]", Text("发送原始指令", "send raw bytes"),
         "apdu 0084000004", _apdu),
    Verb("send", f"NAME [part=HEX…] [{REALLY}]", Text("按声明发送指令", "send a declared command"),
         "send get-challenge le=8", _send),
    Verb("decode", "COMMAND [ANSWER]", Text("解码，不发送", "say what bytes mean, send nothing"),
         "decode 00B095001E 6982", _decode),
    Verb("sw", "HEX", Text("解释状态字", "explain a status word"), "sw 6982", _sw),
    Verb("trace", "FILE", Text("保存通信记录", "save the trace: .html, .pcapng or a cassette"),
         "trace today.html", _trace),
    Verb("reset", "", Text("断电重启", "take the card's power away"), "reset", _reset),
    Verb("quit", "", Text("退出", "leave"), "quit", _quit),
)
# fmt: on

STATUS_WORD_NAMES = [f"{row.value:04X}" for row in STATUS_WORDS]
