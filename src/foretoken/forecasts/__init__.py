"""A fit applied beyond its data: forecasts with intervals, their plain rivals, and the ledger that keeps them."""

from foretoken.forecasts import ledger
from foretoken.forecasts.backtest import BackTest, backtest
from foretoken.forecasts.forecast import Forecast
from foretoken.forecasts.predict import predict
from foretoken.forecasts.rivals import plain_loss, rival_forecasts

__all__ = [
    "BackTest",
    "Forecast",
    "backtest",
    "ledger",
    "plain_loss",
    "predict",
    "rival_forecasts",
]
