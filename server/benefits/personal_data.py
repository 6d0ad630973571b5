# SPDX-License-Identifier: Apache-2.0
"""What benefits know of a person, for their own copy of it. It holds no name: it stays."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from keys.custody import KeyStore
from server.benefits.models import Claim, Donation, Insured
from server.people.models import Volunteer
from server.privacy import dossier


def covers_of(session: Session, _store: KeyStore, person: Volunteer) -> list[dict[str, Any]]:
    """Return the stretches in which a person was insured."""
    rows = session.scalars(
        sa.select(Insured).where(Insured.volunteer_id == person.id).order_by(Insured.id)
    )
    return [
        {
            "from": row.from_day.isoformat(),
            "until": row.until_day.isoformat() if row.until_day else None,
        }
        for row in rows
    ]


def claims_of(session: Session, _store: KeyStore, person: Volunteer) -> list[dict[str, Any]]:
    """Return the claims that were checked for a person."""
    rows = session.scalars(
        sa.select(Claim).where(Claim.volunteer_id == person.id).order_by(Claim.id)
    )
    return [
        {
            "made": dossier.instant(row.made_ms),
            "kind": row.kind,
            "at": dossier.instant(row.at_ms),
            "cost_fen": row.cost_fen,
            "pays_fen": row.pays_fen,
            "outcome": row.code,
        }
        for row in rows
    ]


def donations_of(session: Session, _store: KeyStore, person: Volunteer) -> list[dict[str, Any]]:
    """Return what banks donated in a person's name, by month."""
    rows = session.scalars(
        sa.select(Donation).where(Donation.volunteer_id == person.id).order_by(Donation.id)
    )
    return [
        {"month": row.month, "partner": row.partner, "amount_fen": row.amount_fen} for row in rows
    ]


dossier.PARTS |= {"insured": covers_of, "claims": claims_of, "donations": donations_of}
