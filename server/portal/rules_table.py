# SPDX-License-Identifier: Apache-2.0
"""What each reconciliation rule means to the people it touches, in everyday words.

The numbers are those of the reconciliation rules. `meaning` says what happened to the time,
`next_step` what the volunteer can do; "" when there is nothing to do.
"""

from __future__ import annotations

from dataclasses import dataclass

from .language import N_


@dataclass(frozen=True, slots=True)
class RuleText:
    """The texts of one rule, in English; `gettext` turns them into the reader's language."""

    title: str
    meaning: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as a page shows it."""

    number: int
    title: str
    meaning: str
    next_step: str


ASK_LEADER = N_("Ask the site leader to correct it; bring a note of when you really left.")
WAIT = N_("Nothing to do: it settles by itself when the missing records arrive.")
TELL_STAFF = N_("Go to the service desk with your card; staff will look into it.")

RULES: dict[int, RuleText] = {
    1: RuleText(N_("Tap-in and tap-out"), N_("Both ends are proven by your card.")),
    2: RuleText(N_("Sent twice"), N_("The terminal sent the same tap again. It is counted once.")),
    3: RuleText(
        N_("Terminal contradicts itself"),
        N_("The terminal sent two versions of one record, so nothing from it is credited now."),
        TELL_STAFF,
    ),
    4: RuleText(
        N_("Records of the terminal are missing"),
        N_("A record before this one has not arrived. Until it does, the time counts as grade B."),
        WAIT,
    ),
    5: RuleText(
        N_("Double tap"), N_("You tapped twice within a minute. Only the first tap counts.")
    ),
    6: RuleText(
        N_("Out again at once"),
        N_("You tapped in and, within a minute, out at another terminal: no service time."),
    ),
    7: RuleText(
        N_("Too short"), N_("Less than five minutes is shown, but no minutes are credited.")
    ),
    8: RuleText(
        N_("Tapped in twice"),
        N_("The second tap-in counts. The first one has no tap-out and needs a correction."),
        ASK_LEADER,
    ),
    9: RuleText(
        N_("Earlier tap-out missing"),
        N_(
            "You tapped in again another time. The earlier service was closed by itself, "
            "so the mistake does not spread to later days."
        ),
        ASK_LEADER,
    ),
    10: RuleText(
        N_("Tap-out without tap-in"),
        N_("There is no tap-in to go with this tap-out, so no minutes are credited."),
        N_("Ask the site leader to add the time you came; it will be graded C."),
    ),
    11: RuleText(
        N_("Tapped out twice"),
        N_("The first tap-out ends the service. The second changes nothing."),
    ),
    12: RuleText(
        N_("Tap-out forgotten"),
        N_(
            "The activity has ended and no tap-out arrived. No minutes are credited until the "
            "site leader approves the proposed end."
        ),
        ASK_LEADER,
    ),
    13: RuleText(
        N_("Tap-out forgotten, no plan"),
        N_("There is neither a tap-out nor a planned end, so no minutes are credited."),
        ASK_LEADER,
    ),
    14: RuleText(
        N_("Corrected on request"),
        N_("A leader approved a missed tap. Such time is graded C and never exceeds the plan."),
    ),
    15: RuleText(
        N_("Late tap-out arrived"),
        N_(
            "A terminal that was offline delivered your real tap-out; it replaced the proposed end."
        ),
    ),
    16: RuleText(
        N_("Day not closed yet"),
        N_("A terminal of the site has not reported past this day. The figures may still change."),
        WAIT,
    ),
    17: RuleText(N_("Over midnight"), N_("The service belongs to the day on which you tapped in.")),
    18: RuleText(
        N_("Time zone changed"),
        N_("The length is measured in universal time, so it is unaffected."),
    ),
    19: RuleText(
        N_("In here, out there"),
        N_("You tapped in and out at different sites of the same activity. The time counts."),
    ),
    20: RuleText(
        N_("Overlapping times"),
        N_(
            "Two services overlap. The later one waits for the site leader; no minute counts twice."
        ),
        ASK_LEADER,
    ),
    21: RuleText(
        N_("Too far, too fast"),
        N_("Two taps are further apart than anyone can travel in that time. Staff will check."),
        TELL_STAFF,
    ),
    22: RuleText(
        N_("Changed activity"), N_("One tap ended the first activity and began the next one.")
    ),
    23: RuleText(N_("Left and came back"), N_("Each stay is counted for itself.")),
    24: RuleText(
        N_("Clock corrected"),
        N_("The terminal's clock was slightly off. The times were corrected from its receipts."),
    ),
    25: RuleText(
        N_("Clock was changed"),
        N_("The terminal's clock jumped. The length was taken from its running-time counter."),
    ),
    26: RuleText(
        N_("Clock unknown"),
        N_(
            "The terminal did not know the time. The length is right, the time of day is estimated."
        ),
    ),
    27: RuleText(
        N_("Time in the future"),
        N_("The terminal's clock was ahead. No minutes are credited until the true time is known."),
        WAIT,
    ),
    28: RuleText(
        N_("An earlier tap is missing"),
        N_("Your card has counted a tap that no terminal has delivered yet."),
        WAIT,
    ),
    29: RuleText(
        N_("Card copied"),
        N_("Two taps claim the same number of your card. Both are held and the card is blocked."),
        TELL_STAFF,
    ),
    30: RuleText(
        N_("Proof of the card wrong"),
        N_("The proof sent by the terminal does not fit your card. No minutes are credited."),
        TELL_STAFF,
    ),
    31: RuleText(
        N_("Signature of the terminal wrong"),
        N_("The record was refused, but your card proves the tap. A leader can credit it as C."),
        ASK_LEADER,
    ),
    32: RuleText(
        N_("No card proof"),
        N_("The tap was taken without the chip's proof, so it counts as grade B at most."),
    ),
    33: RuleText(
        N_("Card reported lost"),
        N_("The card was on the blocked list when it was tapped. The tap is kept, not credited."),
        TELL_STAFF,
    ),
    34: RuleText(
        N_("Blocked card, old list"),
        N_(
            "The terminal did not know yet that the card was blocked. The tap counts only if it "
            "was made before the report."
        ),
        TELL_STAFF,
    ),
    35: RuleText(
        N_("Card left too early, recovered"),
        N_("The card was pulled away too soon. Its next tap delivered the missing proof."),
    ),
    36: RuleText(
        N_("Card left too early"),
        N_("The card was pulled away too soon and the proof never came, so the grade is B."),
        N_("Hold the card still until the terminal beeps."),
    ),
    37: RuleText(
        N_("Terminal lost"), N_("The time was recovered from cards, receipts and the plan.")
    ),
    38: RuleText(
        N_("Too long"),
        N_("The time is capped at the longest shift or the length of the activity."),
        ASK_LEADER,
    ),
    39: RuleText(N_("Break"), N_("A break was taken off by the rule of the site.")),
    40: RuleText(N_("Early or late"), N_("Times outside the plan were rounded to the plan.")),
    41: RuleText(
        N_("Corrected by a leader"),
        N_("A leader entered a correction. The original record is kept beside it."),
    ),
    42: RuleText(
        N_("Paper record"), N_("Entered from a sign-in sheet: grade C, at most the planned time.")
    ),
    43: RuleText(N_("Card replaced"), N_("Your old and your new card are counted together.")),
    44: RuleText(
        N_("Terminal withdrawn"),
        N_("The terminal was withdrawn later. What it delivered before stays valid."),
    ),
    45: RuleText(N_("Tapped by the leader"), N_("The leader tapped for the group: grade B.")),
    46: RuleText(N_("Did not come"), N_("You were expected and no tap was made.")),
    47: RuleText(
        N_("Delivery refused"),
        N_("The terminal sent different contents under one number; the second was refused."),
        WAIT,
    ),
    48: RuleText(
        N_("Arrived out of order"),
        N_("A record arrived late. Your time was worked out again from all records."),
    ),
    49: RuleText(
        N_("Order settled by the card"),
        N_("Your card's own counter decided which tap came first."),
    ),
    50: RuleText(
        N_("Present too little"), N_("You were there for too small a part of the activity.")
    ),
    51: RuleText(N_("Check-in by phone"), N_("Accepted within the surroundings of the site.")),
    52: RuleText(
        N_("Guardian missing"),
        N_("Volunteers under 14 serve with a guardian. The time is held until one confirms."),
        N_("Ask your guardian to tap at the terminal or to see the site leader."),
    ),
    53: RuleText(
        N_("Order and time disagree"),
        N_("The counter of the card and the clock of the terminal contradict each other."),
        ASK_LEADER,
    ),
    54: RuleText(
        N_("Security module out of step"),
        N_("The security module of the terminal skipped numbers. The tap is under review."),
        WAIT,
    ),
    55: RuleText(
        N_("Time only roughly known"),
        N_("The terminal was offline so long that the grade is B at most."),
    ),
    56: RuleText(
        N_("Delivered by two terminals"),
        N_("Two terminals delivered the same tap. It is counted once."),
    ),
    57: RuleText(
        N_("From a withdrawn terminal"),
        N_("It arrived after the terminal was withdrawn and needs proof and approval."),
        ASK_LEADER,
    ),
    58: RuleText(N_("Opening balance"), N_("Taken over from an earlier system.")),
    59: RuleText(
        N_("Card expired"),
        N_("The card's validity had ended when it was tapped. The tap is kept, not credited."),
        N_("Ask the service desk for a new card; your hours stay yours."),
    ),
}

UNKNOWN = RuleText(
    N_("Other rule"), N_("Staff can explain what this rule did to the time."), TELL_STAFF
)


def rule_named(number: int) -> Rule:
    """Return a rule with its texts.

    >>> rule_named(12).title
    'Tap-out forgotten'
    """
    text = RULES.get(number, UNKNOWN)
    return Rule(number, text.title, text.meaning, text.next_step)


def rule_numbers(stored: str) -> list[int]:
    """Return the rule numbers of the comma list kept with an interval.

    >>> rule_numbers("1,17"), rule_numbers("")
    ([1, 17], [])
    """
    return [int(part) for part in stored.split(",") if part.strip()]
