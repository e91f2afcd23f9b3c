"""The design system's template tags, built into every template: nobody loads them.

Blocks are components, `{% component "panel" title="Positions" %}…{% endcomponent %}`, each one file
of `templates/components/`. What stands inside a line is a tag: `{% money %}`, `{% price %}`,
`{% change %}`, `{% shares %}`, `{% ago %}`, `{% icon %}`, `{% status %}`, `{% sparkline %}`,
`{% avatar %}`, `{% field %}`. `docs/design.md` shows them all; `/design/` shows them live.

A value is an `Amount`, a Decimal or decimal string of wholes, or an int of the asset's smallest
units. None is unknown and prints a dash.
"""

import datetime as dt
import zlib
from collections.abc import Sequence
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from django import template
from django.conf import settings
from django.forms import BoundField, CheckboxInput, CheckboxSelectMultiple, RadioSelect
from django.template.context import Context
from django.template.loader import get_template
from django.templatetags.static import static
from django.urls import NoReverseMatch, get_script_prefix, get_urlconf, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from common.money import count
from common.templatetags.figures import (
    HUNDREDTH,
    MINUS,
    Value,
    dollars,
    read,
    sign_of,
    tone_of,
)

register = template.Library()

UNKNOWN = mark_safe('<span class="unknown" title="Not known">&ndash;</span>')
AVATAR_TONES = 8
PASSED_ON = ("hx_", "data_", "aria_")
ATTRIBUTES = {
    "id",
    "name",
    "value",
    "form",
    "role",
    "type",
    "target",
    "rel",
    "disabled",
    "download",
}

STATUSES = {
    "up": {
        "filled",
        "active",
        "approved",
        "completed",
        "settled",
        "posted",
        "paid",
        "captured",
        "online",
    },
    "info": {"open", "submitted", "in_review", "partially_filled", "authorized", "processing"},
    "warn": {
        "pending",
        "waiting",
        "frozen",
        "needs_information",
        "expiring",
        "halted",
        "delayed",
        "inactive",
    },
    "down": {"rejected", "declined", "failed", "refused", "suspended", "blocked", "disputed"},
}


@register.simple_block_tag(takes_context=True)
def component(context: Context, content: str, component_name: str, /, **props: Any) -> SafeString:
    """Render `components/<component_name>.html` with its props and the block as `content`.

    The component sees its props, `content`, `request` and nothing of the page. Props that begin
    with `hx_`, `data_` or `aria_`, and plain HTML attributes, arrive joined in `attrs`.
    """
    inner = {
        **props,
        "content": content.strip() and content,
        "attrs": html_attributes(props),
        "request": context.get("request"),
        "csrf_token": context.get("csrf_token"),
    }
    return SafeString(get_template(f"components/{component_name}.html").render(inner))


def html_attributes(props: dict[str, Any]) -> SafeString:
    """Join what goes onto the component's element: `hx_post="/x"` becomes `hx-post="/x"`."""
    passed = {
        name.replace("_", "-"): value
        for name, value in props.items()
        if (name in ATTRIBUTES or name.startswith(PASSED_ON)) and value not in (None, False, "")
    }
    return format_html_join(
        "",
        " {}",
        (
            (name if value is True else format_html('{}="{}"', name, value),)
            for name, value in passed.items()
        ),
    )


# Numbers


@register.simple_tag
def money(value: Value, code: str = "USD", *, signed: bool = False, size: str = "") -> SafeString:
    """Show somebody's money; it hides when balances are hidden. `size="total"` is the page's hero.

    Dollars are shown to the cent, rounded down: the screen promises no cent that is not there, and
    what left is never said to be less. The exact amount is the element's value.
    """
    known = read(value, code)
    if known is None:
        return UNKNOWN
    number, code = known
    if code != "USD":
        return shares(value, code)
    return format_html(
        '<data class="money{}" value="{}">{}</data>',
        f" money-{size}" if size else "",
        f"{number:f}",
        dollars(
            number,
            signed=signed,
            decimals=2,
            rounding=ROUND_FLOOR,
        ),
    )


@register.simple_tag
def price(value: Value, symbol: str = "", *, field: str = "reference_price") -> SafeString:
    """Show a market price; with a symbol it stays live.

    `field`: the ticker's `reference_price` (what a share is worth now), or its last, bid or ask.
    """
    known = read(value, "USD")
    shown = UNKNOWN
    if known is not None:
        decimals = 2 if abs(known[0]) >= 1 else 4
        shown = dollars(known[0], signed=False, decimals=decimals, rounding=ROUND_HALF_EVEN)
    if not symbol:
        return format_html('<span class="price">{}</span>', shown)
    return format_html(
        '<live-price class="price" symbol="{}" field="{}" value="{}">{}</live-price>',
        symbol,
        field,
        "" if known is None else f"{known[0]:f}",
        shown,
    )


@register.simple_tag
def change(pct: Value, *, amount: Value = None, symbol: str = "", pill: bool = False) -> SafeString:
    """Show a change in percent (1.25 is 1.25 %) with arrow and sign; with a symbol it is live."""
    known = read(pct if not isinstance(pct, int) else Decimal(pct), "%")
    classes = "change pill" if pill else "change"
    if known is None:
        shown, tone = UNKNOWN, "flat"
    else:
        number = known[0].quantize(HUNDREDTH, ROUND_HALF_EVEN)
        tone = tone_of(number)
        sum_of_it = money(amount, signed=True) if amount is not None else ""
        shown = format_html(
            "{} {}{}%", sum_of_it, sign_of(number, signed=True), f"{abs(number):,.2f}"
        )
    if symbol:
        return format_html(
            '<live-change class="{}" data-tone="{}" symbol="{}">{}</live-change>',
            classes,
            tone,
            symbol,
            shown,
        )
    return format_html('<span class="{}" data-tone="{}">{}</span>', classes, tone, shown)


@register.simple_tag
def shares(value: Value, code: str = "", *, unit: bool = True, signed: bool = False) -> SafeString:
    """Show a quantity: four decimals where they say enough, all of them on demand."""
    known = read(value, code)
    if known is None:
        return UNKNOWN
    number, code = known
    full = f"{number.normalize():,f}"
    short = count(number)
    return format_html(
        '<data class="shares" value="{}"{}>{}{}</data>',
        f"{number:f}",
        format_html(' title="{}"', full) if short != full else "",
        ("+" if signed and number > 0 else "") + short.replace("-", MINUS),
        format_html(' <span class="shares-code">{}</span>', code) if unit and code else "",
    )


@register.simple_tag
def ago(moment: dt.datetime | None, *, brief: bool = False) -> SafeString:
    """Show when: the date without scripts, "2 min ago" with them, the exact time on demand.

    `brief` leaves the time of day to the title.
    """
    if moment is None:
        return UNKNOWN
    local = timezone.localtime(moment)
    return format_html(
        '<relative-time><time datetime="{}" title="{} {}">{}</time></relative-time>',
        moment.isoformat(),
        f"{local.day} {local:%b %Y, %H:%M:%S}",
        local.tzname(),
        f"{local.day} {local:%b}" if brief else f"{local.day} {local:%b, %H:%M}",
    )


# Signs


@register.simple_tag
@lru_cache(maxsize=512)
def icon(name: str, label: str = "") -> SafeString:
    """Draw an icon of the sprite; without a label it is decoration beside words."""
    return format_html(
        '<svg class="icon" {}><use href="{}#{}"></use></svg>',
        format_html('role="img" aria-label="{}"', label)
        if label
        else mark_safe('aria-hidden="true"'),
        static("vendor/lucide/sprite.svg"),
        name,
    )


@register.simple_tag
def status(state: str, label: str = "") -> SafeString:
    """Show the state of an order, a deposit, a card or an application as a badge."""
    tone = next((tone for tone, states in STATUSES.items() if state in states), "flat")
    words = label or str(state).replace("_", " ").capitalize()
    return format_html('<span class="badge" data-tone="{}">{}</span>', tone, words)


@register.simple_tag
@lru_cache(maxsize=512)
def avatar(symbol: str) -> SafeString:
    """Draw an instrument's sign: its ticker on one of eight quiet tones, always the same."""
    ticker = symbol.removesuffix("x")[:5]
    return format_html(
        '<span class="avatar" data-tone="{}" data-length="{}" aria-hidden="true">{}</span>',
        zlib.crc32(symbol.encode()) % AVATAR_TONES,
        len(ticker),
        ticker,
    )


@register.simple_tag
def sparkline(
    points: Sequence[Decimal | float | str] | None, label: str = "", *, change: Value = None
) -> SafeString:
    """Draw a small line of prices, oldest first; it says nothing that words beside it don't.

    Its tone is that of the change beside it, where there is one, else from first to last.
    """
    numbers = [float(point) for point in points or []]
    if len(numbers) < 2:
        return mark_safe('<span class="sparkline"></span>')
    known = read(change, "%")
    low, high = min(numbers), max(numbers)
    spread = (high - low) or 1.0
    step = 100 / (len(numbers) - 1)
    line = " ".join(
        f"{index * step:.1f},{30 - (number - low) / spread * 28:.1f}"
        for index, number in enumerate(numbers)
    )
    return format_html(
        '<svg class="sparkline" data-tone="{}" viewBox="0 0 100 32" preserveAspectRatio="none" {}>'
        '<polyline points="{}"></polyline></svg>',
        tone_of(numbers[-1] - numbers[0] if known is None else known[0].quantize(HUNDREDTH)),
        format_html('role="img" aria-label="{}"', label)
        if label
        else mark_safe('aria-hidden="true"'),
        line,
    )


BROWSERS = {
    "Edg/": "Edge",
    "OPR/": "Opera",
    "Firefox/": "Firefox",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
}
SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Mac OS": "Mac",
    "Linux": "Linux",
}


@register.filter
def device_name(user_agent: str) -> str:
    """Read a browser's name for itself as people would say it: Firefox on Android."""
    browser = next((name for sign, name in BROWSERS.items() if sign in user_agent), "An app")
    system = next((name for sign, name in SYSTEMS.items() if sign in user_agent), "")
    return f"{browser} on {system}" if system else browser


# Forms


@register.simple_tag
def field(
    bound: BoundField,
    *,
    label: str = "",
    hint: str | None = None,
    prefix: str = "",
    suffix: str = "",
    **attrs: Any,
) -> SafeString:
    """Draw a form's field with label, hint and errors, wired for screen readers.

    Other arguments become attributes of the input, `_` as `-`: `inputmode="decimal"`.
    """
    widget = bound.field.widget
    kind = "text"
    if isinstance(widget, CheckboxInput):
        kind = "check"
    elif isinstance(widget, RadioSelect | CheckboxSelectMultiple):
        kind = "choices"
    hint = str(bound.help_text or "") if hint is None else hint
    described = [f"{bound.auto_id}_hint"] if hint else []
    described += [f"{bound.auto_id}_error"] if bound.errors else []
    wiring = {name.replace("_", "-"): value for name, value in attrs.items()}
    wiring |= {"aria-describedby": " ".join(described)} if described else {}
    control = bound.as_widget(attrs=wiring)
    if bound.field.show_hidden_initial:
        control += bound.as_hidden(only_initial=True)
    inner = {
        "field": bound,
        "control": control,
        "kind": kind,
        "label": label or bound.label,
        "hint": hint,
        "prefix": prefix,
        "suffix": suffix,
    }
    return SafeString(get_template("components/field.html").render(inner))


# Frames


@register.simple_tag
def maybe_url(name: str, *args: Any) -> str:
    """Reverse a URL by name, or give "" where this installation has no such page."""
    return _address(get_urlconf() or settings.ROOT_URLCONF, get_script_prefix(), name, args)


@lru_cache(maxsize=4096)
def _address(urlconf: str, _prefix: str, name: str, args: tuple[Any, ...]) -> str:
    """Reverse a URL once: a list asks for hundreds, and for the same ones each time."""
    try:
        return reverse(name, urlconf, args)
    except NoReverseMatch:
        return ""


@register.simple_tag
def demo_mode() -> bool:
    """Tell whether this is the demonstration, which every page admits."""
    return bool(settings.DEMO)


@register.simple_tag(takes_context=True)
def here(context: Context, names: str) -> SafeString:
    """Mark a link as the current page if the view is one of these: "kyc:* users:settings"."""
    match = getattr(context.get("request"), "resolver_match", None)
    at = match is not None and any(fnmatchcase(match.view_name, name) for name in names.split())
    return SafeString(' aria-current="page"' if at else "")
