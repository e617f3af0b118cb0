"""The reference of the command line, as Markdown, from the commands themselves."""

from __future__ import annotations

import html
from typing import Any

from segfair.cli.app import LISTED, app, load_command

ARGUMENTS, FURTHER = "Arguments", "Further"


def commands_page() -> str:
    """Every command in the order of `segfair --help`, its arguments and all of its options by panel."""
    parts = [
        "# Commands\n",
        f"{app.info.help}\n",
        "Made from the program itself: what `segfair COMMAND --help-all` explains. How commands speak and end: "
        "[the command line](../how-to/command-line.md).\n",
    ]
    for panel in dict.fromkeys(entry.panel for entry in LISTED.values()):
        parts.append(f"## {panel}\n")
        parts.extend(_command(name) for name, entry in LISTED.items() if entry.panel == panel)
    return "\n".join(parts)


def _command(name: str) -> str:
    command = load_command(name)
    context = command.context_class(command, info_name=f"segfair {name}")
    panels: dict[str, list[str]] = {}
    for parameter in command.get_params(context):
        if not getattr(parameter, "hidden", False) and parameter.name != "help":
            panel = ARGUMENTS if parameter.param_type_name == "argument" else parameter.rich_help_panel or FURTHER
            panels.setdefault(panel, []).append(_row(parameter, context))
    usage = " ".join(["segfair", name, *command.collect_usage_pieces(context)])
    parts = [f"### {name} {{: #{name} }}\n", f"{command.help}\n", f"```text\n{usage}\n```\n"]
    if command.epilog:
        parts.append(f"```sh\n{command.epilog.removeprefix('Example: ')}\n```\n")
    for panel, rows in panels.items():
        parts.append(f'??? abstract "{panel}"\n' if panel != ARGUMENTS else "")
        table = ["| | values | |", "|---|---|---|", *rows, ""]
        parts.append("\n".join(table if panel == ARGUMENTS else [f"    {line}" for line in table]))
    return "\n".join(parts) + "\n"


def _row(parameter: Any, context: Any) -> str:
    names = [parameter.metavar or parameter.name.upper()]
    values = parameter.display_type(context)
    if parameter.param_type_name != "argument":
        names = [*parameter.opts, *parameter.secondary_opts]
        values = "" if parameter.is_flag else parameter.metavar or parameter.display_type(context)
    told = parameter.help or ""
    if (
        parameter.param_type_name != "argument"
        and parameter.show_default
        and parameter.default not in (None, False, (), [])
    ):
        told = f"{told} Default: `{parameter.default}`."
    if parameter.multiple:
        told = f"{told} Repeatable."
    values = values.strip("<>")
    cells = [" ".join(f"`{name}`" for name in names), f"`{values}`" if values else "", html.escape(told, quote=False)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
