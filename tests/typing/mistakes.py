"""What mypy must refuse: something not known, used as if it were. `# E:` names the errors that a line must give.

Nothing runs this file; `test_typing` has it checked, and `right.py` beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agent.checks.case import Case
from agent.iis.snapshot import Machine
from agent.model import Application
from agent.names import AccountName, Guess, Spn, fold, netbios_fault, netbios_name, user_name
from agent.spn.directory import Account, Directory, Question
from agent.spn.domains import Domains, guessed_label
from agent.spn.identity import computer
from agent.spn.require import ServerView

# -- a name that nobody said is no text ----------------------------------------------------------------------------


def compare_a_guess(guess: Guess, label: str) -> bool:
    return fold(guess) == fold(label)  # E: arg-type


def compare_a_guess_as_it_is(guess: Guess, label: str) -> bool:
    return guess == label  # E: comparison-overlap


def compare_netbios_names(one: AccountName, other: AccountName) -> bool:
    return fold(one.domain) == fold(other.domain)  # E: arg-type


def write_the_domain(account: AccountName) -> str:
    return account.domain  # E: return-value


def join_the_domain(account: AccountName) -> str:
    return "\\".join((account.domain, account.name))  # E: arg-type


def shorten_a_name(machine: Machine) -> str:
    return netbios_name(machine.name)  # E: arg-type


def spell_a_name(machine: Machine) -> str:
    return machine.name.upper()  # E: union-attr union-attr


def tell_a_local_user(machine: Machine, text: str) -> bool:
    return user_name(text, machine.name).form == "local"  # E: arg-type


def find_the_suffix(machine: Machine) -> str:
    return machine.full_name.suffix  # E: union-attr


def place_a_guess(domains: Domains) -> str:
    return domains.placed(guessed_label("nord.example")).dns  # E: arg-type


def judge_a_label(domains: Domains) -> str | None:
    return netbios_fault(domains.label("nord.example"))  # E: arg-type


def look_a_guess_up(read: Mapping[str, str], guess: Guess) -> str:
    return read[guess]  # E: index


def put_a_guess_into_the_question(machine: Machine) -> Question:
    return Question(account_names=frozenset([machine.name]))  # E: list-item


# -- "not asked" is not "nobody" -----------------------------------------------------------------------------------


def count_holders(directory: Directory, name: Spn, near: AccountName) -> int:
    return len(directory.holders(name, near))  # E: arg-type


def list_answers(directory: Directory, name: Spn, near: AccountName) -> Iterator[AccountName]:
    for account in directory.answers(name, near):  # E: union-attr
        yield account.name


def take_the_first(directory: Directory, name: Spn, near: AccountName) -> Account:
    return directory.answers(name, near)[0]  # E: index


def look_for_one(directory: Directory, name: Spn, near: AccountName, holder: Account) -> bool:
    return holder in directory.holders(name, near)  # E: operator


def compare_the_number(directory: Directory, name: Spn, near: AccountName) -> bool:
    return directory.holders(name, near) == 0  # E: comparison-overlap


# -- an account that nobody named ----------------------------------------------------------------------------------


def name_the_computer(server: ServerView) -> str:
    return server.account.name  # E: union-attr


def name_what_decrypts(application: Application) -> str:
    return application.decrypts_as.name  # E: union-attr


def make_an_account(machine: Machine, domains: Domains) -> AccountName:
    return computer(machine, domains)  # E: return-value


def look_whether_it_is_there(case: Case, server: ServerView) -> bool:
    return case.is_inspected(server.account)  # E: arg-type


def tell_whether_it_holds(directory: Directory, holder: Account, server: ServerView) -> str:
    return directory.likeness(holder, server.account).value  # E: arg-type


# -- neither the same nor another ----------------------------------------------------------------------------------


def take_a_likeness_for_yes(directory: Directory, holder: Account, account: AccountName) -> str:
    if directory.likeness(holder, account):  # E: truthy-bool
        return "it is on the right account"
    return "it is not"


def take_it_for_no(one: AccountName, other: AccountName) -> bool:
    return not one.likeness(other)  # E: truthy-bool


def return_it_as_yes(one: AccountName, other: AccountName) -> bool:
    return one.domain_likeness(other)  # E: return-value
