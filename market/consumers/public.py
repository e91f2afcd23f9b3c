"""`/ws/v2`: the market, for everybody."""

from datetime import datetime
from typing import Any

from market.consumers import protocol
from market.consumers.hub import DEPTHS
from market.consumers.protocol import Params, Refused, Request
from market.consumers.socket import Socket
from market.consumers.topics import Key
from market.rules import candles

MAX_SUBSCRIPTIONS = 1000
PRIVATE = ("executions", "balances", "notifications")


class PublicConsumer(Socket):
    """One stranger's socket."""

    channel_layer_alias = "none: public data comes through the hub"

    async def subscribe(self, request: Request, time_in: datetime) -> None:
        """Answer once for each symbol, then send its snapshot and what follows."""
        for key in self._keys(request, time_in):
            if self.hub.follows(self.outbox, key):
                self._refuse("Already subscribed", key, request, time_in)
            elif len(self.outbox.versions) >= MAX_SUBSCRIPTIONS:
                self._refuse("Exceeded maximum number of subscriptions", key, request, time_in)
            else:
                result = self._result(key, request.params)
                self.outbox.say(protocol.answer(request, time_in, result=result, success=True))
                await self._follow(key, request.params)

    async def _follow(self, key: Key, params: Params) -> None:
        if key[0] == "status":
            self.greet()
            return
        await self.hub.subscribe(self.outbox, key, snapshot=params.snapshot)

    async def unsubscribe(self, request: Request, time_in: datetime) -> None:
        """Answer once for each symbol."""
        for key in self._keys(request, time_in):
            if key[0] != "status" and not self.hub.follows(self.outbox, key):
                self._refuse("Subscription Not Found", key, request, time_in)
                continue
            self.hub.unsubscribe(self.outbox, key)
            result = self._result(key, request.params)
            self.outbox.say(protocol.answer(request, time_in, result=result, success=True))

    def _keys(self, request: Request, time_in: datetime) -> list[Key]:
        """Read what is asked for; symbols that nobody knows are refused one by one.

        :raises Refused: if the request as a whole makes no sense
        """
        params = request.params
        if params.channel in PRIVATE:
            raise Refused("Private data and trading are unavailable on this endpoint")
        if params.channel in ("instrument", "status"):
            return [(params.channel, "", 0)]
        parameter = self._parameter(params)
        if not params.symbol:
            raise Refused("Symbol(s) not found")
        keys = []
        for pair in params.symbol:
            symbol = pair.removesuffix("/USD")
            if symbol == pair or symbol not in self.hub.markets:
                words = f"Currency pair not supported {pair}"
                self.outbox.say(
                    protocol.refusal(
                        words,
                        time_in=time_in,
                        req_id=request.req_id,
                        method=request.method,
                        symbol=pair,
                    )
                )
            else:
                keys.append((params.channel, symbol, parameter))
        return keys

    @staticmethod
    def _parameter(params: Params) -> int:
        if params.channel == "book":
            if params.depth not in DEPTHS:
                raise Refused("Subscription depth not supported")
            return params.depth
        if params.channel == "ohlc":
            if params.interval not in candles.BY_MINUTES:
                raise Refused("Subscription ohlc interval not supported")
            return params.interval
        if params.channel in ("ticker", "trade"):
            return 0
        raise Refused("Subscription channel not supported")

    @staticmethod
    def _result(key: Key, params: Params) -> dict[str, Any]:
        """Echo a subscription as Kraken does."""
        channel, symbol, parameter = key
        result: dict[str, Any] = {"channel": channel}
        if symbol:
            result["symbol"] = f"{symbol}/USD"
        if channel == "ticker":
            result["event_trigger"] = params.event_trigger
        elif channel == "book":
            result["depth"] = parameter
        elif channel == "ohlc":
            result["interval"] = parameter
        result["snapshot"] = params.snapshot
        return result

    def _refuse(self, words: str, key: Key, request: Request, time_in: datetime) -> None:
        about = {"symbol": f"{key[1]}/USD"} if key[1] else {}
        self.outbox.say(
            protocol.refusal(
                words, time_in=time_in, req_id=request.req_id, method=request.method, **about
            )
        )
