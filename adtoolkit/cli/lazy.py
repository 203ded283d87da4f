"""A click group that imports a command when it is called, not when it is listed; and what all commands have in common."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from adtoolkit.errors import AdtoolError


@dataclass
class Debug:
    """How an error is shown.

    Attributes:
        on: With its traceback.
        as_json: As a JSON object on stdout too; a command that printed its own turns this off.
    """

    on: bool = False
    as_json: bool = False


def _debug_option() -> click.Option:
    """``--debug``, which every command gets, so that it works wherever it is written."""

    def remember(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        if value and (debug := ctx.find_object(Debug)):
            debug.on = True

    return click.Option(
        ["--debug"], is_flag=True, expose_value=False, is_eager=True, callback=remember, help="Show the traceback of an error."
    )


class LazyGroup(click.Group):
    """A group whose commands are named as ``module:object`` with their one-line help.

    Args:
        lazy: Name of a command -> where it is, and its help.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = lazy
        self.params.append(_debug_option())

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order given, which is that of use."""
        return [*self.lazy, *(name for name in super().list_commands(ctx) if name not in self.lazy)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in self.commands and cmd_name in self.lazy:
            module, _, attribute = self.lazy[cmd_name][0].partition(":")
            command: click.Command = getattr(import_module(module), attribute)
            if not any(param.name == "debug" for param in command.params):
                command.params.append(_debug_option())
            self.add_command(command, cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but a misspelt command names the nearest one."""
        name = args[0]
        if name[:1] != "-" and name not in (known := self.list_commands(ctx)):
            near = get_close_matches(name, known, n=1, cutoff=0.5)
            ctx.fail(f"There is no command '{name}'; there is: {', '.join(known)}.{f' Did you mean {near[0]!r}?' if near else ''}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        """The commands with their help, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.lazy.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Command names, without importing them."""
        items = [CompletionItem(name, help=text) for name, (_, text) in self.lazy.items() if name.startswith(incomplete)]
        return items + click.Command.shell_complete(self, ctx, incomplete)


class Root(LazyGroup):
    """The outermost group: turns errors into one line and an exit code."""

    def main(self, args: Any = None, prog_name: str | None = None, *rest: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run, and end the process: 0 done, 2 refused, 1 failed, 130 interrupted.

        With ``standalone_mode=False`` everything is left to the caller.
        """
        arguments = sys.argv[1:] if args is None else args
        debug = Debug(as_json="--json" in arguments)
        extra.setdefault("obj", debug)
        run = partial(super().main, args, prog_name, *rest, standalone_mode=False, **extra)
        if not standalone_mode:
            return run()
        try:
            result: Any = run()
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(error.exit_code)
        except click.ClickException as error:
            _end(error, f"error: {_one_line(error)}", error.exit_code, debug)
        except click.Abort as error:
            _end(None, f"interrupted: {error}" if str(error) else "interrupted.", 130, debug)
        except AdtoolError as error:
            _end(error, f"error: {error}", error.exit_code, debug)
        except Exception as error:  # noqa: BLE001  # the user sees one line, whatever it was
            text = " ".join(str(error).split())
            hint = "" if debug.on else " This should not happen; run again with --debug for the traceback."
            _end(error, f"error: {type(error).__name__}: {text}.{hint}", 1, debug)
        sys.exit(result if isinstance(result, int) else 0)


def _one_line(error: click.ClickException) -> str:
    """What click found wrong with a command line, and where it is explained."""
    text = " ".join(error.format_message().split())
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    return f"{text}{'' if text[-1:] in '.?!)' else '.'} See: {ctx.command_path} --help" if ctx else text


def _end(error: BaseException | None, line: str, code: int, debug: Debug) -> NoReturn:
    if debug.on and error is not None:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    click.echo(line, err=True)
    if debug.as_json:  # whoever reads stdout gets an object whatever happens
        status = {2: "refused", 130: "interrupted"}.get(code, "failed")
        click.echo(json.dumps({"status": status, "error": line.removeprefix("error: "), "exit_code": code}))
    sys.exit(code)
