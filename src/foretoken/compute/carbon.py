"""Carbon as people know it: so many kilometres in a car, so many flights."""

from __future__ import annotations

from dataclasses import dataclass

KG_PER_CAR_KM = 0.12
"""Of a new car in Europe: 122.3 g/km in 2019 (European Environment Agency), 0.12 in the lectures' 700,000 km."""
KG_PER_FLIGHT = 900.0
"""Of one passenger, New York to San Francisco and back: 1,984 lb (Strubell et al. 2019, arXiv 1906.02243, table 1)."""
SOURCE = (
    f"{KG_PER_CAR_KM:g} kg a km: a new car in Europe, 2019, EEA; {KG_PER_FLIGHT:g} kg a passenger: New York to"
    " San Francisco and back, Strubell et al. 2019"
)


@dataclass(frozen=True)
class CarbonEquivalents:
    """The same carbon in other words."""

    car_km: float
    """Kilometres in a new European car."""
    flights: float
    """Passengers from New York to San Francisco and back."""


def carbon_equivalents(tco2e: float) -> CarbonEquivalents:
    """Tonnes of CO2 equivalent as kilometres in a car and as flights.

    >>> both = carbon_equivalents(552)  # GPT-3, by Patterson et al. 2021
    >>> f"{both.car_km:.2g} km, {both.flights:.0f} flights"
    '4.6e+06 km, 613 flights'
    """
    kg = 1000.0 * tco2e
    return CarbonEquivalents(car_km=kg / KG_PER_CAR_KM, flights=kg / KG_PER_FLIGHT)
