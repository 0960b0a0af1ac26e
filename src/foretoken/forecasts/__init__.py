"""A fit applied beyond its data: forecasts with intervals, their plain rivals, and the ledger that keeps them."""

from foretoken.forecasts import ledger
from foretoken.forecasts.backtest import BackTest, backtest
from foretoken.forecasts.entry import Entry, Outcome
from foretoken.forecasts.forecast import Extrapolation, Forecast, Forecasts
from foretoken.forecasts.ledger import Ledger, LedgerSummary
from foretoken.forecasts.predict import predict
from foretoken.forecasts.rivals import plain_loss, rival_forecasts

__all__ = [
    "BackTest",
    "Entry",
    "Extrapolation",
    "Forecast",
    "Forecasts",
    "Ledger",
    "LedgerSummary",
    "Outcome",
    "backtest",
    "ledger",
    "plain_loss",
    "predict",
    "rival_forecasts",
]
