"""Every setting, read top to bottom; the environment speaks through the helpers below.

`docs/configuration.md` lists every variable. Outside demo mode nothing has a default that
would be unsafe to keep.
"""

import os
import re
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dj_database_url
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from krakapp import home
from krakapp.postgres.bounded import BoundedConnection

BASE_DIR = Path(__file__).resolve().parent.parent


def env_bool(name: str, *, default: bool = False) -> bool:
    """Read a switch: 1, true, yes or on; 0, false, no, off or nothing."""
    value = os.environ.get(name, str(int(default))).lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off", ""}:
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}: it can be 1 or 0.")


def env_int(name: str, default: int) -> int:
    """Read a whole number that is not negative."""
    value = os.environ.get(name, "") or str(default)
    if not re.fullmatch("[0-9]{1,9}", value):
        raise ImproperlyConfigured(f"{name} is {value!r}: it has to be a whole number.")
    return int(value)


def env_list(name: str) -> list[str]:
    """Read a comma-separated list."""
    return [part.strip() for part in os.environ.get(name, "").split(",") if part.strip()]


def env_secret(name: str) -> str:
    """Read a secret, which must be given outside demo mode."""
    value = os.environ.get(name, "")
    if value:
        return value
    if DEMO:
        return kept_secret(name.lower())
    raise ImproperlyConfigured(
        f"Set {name} in the environment: it has no default outside demo mode."
    )


def env_feed(name: str) -> str:
    """Read where prices come from, which must be said, and be real, outside demo mode."""
    choices = ["simulated", "kraken"] if DEMO else ["kraken"]
    value = os.environ.get(name, "simulated" if DEMO else "")
    if value in choices:
        return value
    if value == "simulated":
        raise ImproperlyConfigured(
            f"{name}=simulated makes prices up, which is for demo mode only: it can be kraken."
        )
    if value:
        raise ImproperlyConfigured(f"{name} is {value!r}: it can be {' or '.join(choices)}.")
    raise ImproperlyConfigured(
        f"Set {name} in the environment, to {' or '.join(choices)}: it has no default outside "
        "demo mode."
    )


def is_demo() -> bool:
    """Say whether this is a demo: as the environment says, or as the home remembers.

    Who gives a SECRET_KEY means production, whatever was tried in that home before.
    """
    if "KRAKAPP_DEMO" in os.environ or "SECRET_KEY" in os.environ:
        return env_bool("KRAKAPP_DEMO")
    try:
        return home.kind_of(HOME) == home.DEMO
    except home.HomeMistaken as error:
        raise ImproperlyConfigured(str(error)) from error


def env_keys(name: str) -> list[str]:
    """Read encryption keys of 32 bytes each, in hexadecimal, separated by commas."""
    keys = [key.strip() for key in env_secret(name).split(",") if key.strip()]
    if not keys or not all(re.fullmatch("[0-9a-fA-F]{64}", key) for key in keys):
        raise ImproperlyConfigured(
            f"{name} takes keys of 64 hexadecimal digits, separated by commas: make one with "
            "`openssl rand -hex 32`."
        )
    return keys


def kept_secret(name: str) -> str:
    """Make a secret once and keep it in the home."""
    try:
        return home.secret(HOME, name)
    except OSError as error:
        raise ImproperlyConfigured(
            f"Cannot write in KRAKAPP_HOME {HOME}: {error.strerror}."
        ) from error


# Where and how it runs

HOME = Path(os.environ.get("KRAKAPP_HOME", BASE_DIR / "var")).resolve()
DEMO = is_demo()
DEBUG = False
PORT = env_int("PORT", 8000)
SITE_URL = os.environ.get("SITE_URL", f"http://127.0.0.1:{PORT}")
RATE_LIMITS = env_bool("RATE_LIMITS", default=True)  # the limits themselves: users.CallLimit
if not RATE_LIMITS and not DEMO:
    raise ImproperlyConfigured(
        "RATE_LIMITS=0 is for load tests in demo mode; take it out of the environment."
    )
SECRET_KEY = env_secret("SECRET_KEY")
SECRET_KEY_FALLBACKS = env_list("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS") or (
    ["127.0.0.1", "localhost", "[::1]", "testserver"] if DEMO else []
)
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS")
TRUSTED_PROXIES = env_list("TRUSTED_PROXIES")  # addresses or networks that may name the client
BACKUP_DIR = Path(os.environ.get("BACKUP_DIR", HOME / "backups")).resolve()
BACKUPS_KEPT = int(os.environ.get("BACKUPS_KEPT", "7"))
MAINTENANCE = env_bool("MAINTENANCE")
MAINTENANCE_RETRY_AFTER = env_int("MAINTENANCE_RETRY_AFTER", 300)  # seconds
PROPOSAL_DAYS = env_int("PROPOSAL_DAYS", 7)  # then nobody has decided in time
CORPORATE_ACTION_NOTICE_S = int(  # from its approval on
    os.environ.get("CORPORATE_ACTION_NOTICE_S", "60" if DEMO else "86400")
)
CORPORATE_ACTION_HALT_S = int(  # the market stops so long before it
    os.environ.get("CORPORATE_ACTION_HALT_S", "30" if DEMO else "900")
)
BANK_WEBHOOK_SECRET = env_secret("BANK_WEBHOOK_SECRET")
CARD_WEBHOOK_SECRET = env_secret("CARD_WEBHOOK_SECRET")
PERSONAL_DATA_KEYS = env_keys("PERSONAL_DATA_KEYS")  # the first encrypts, all of them decrypt
DEMO_PASSWORD = os.environ.get("DEMO_PASSWORD", "krakapp-demo")

# What one request may bring; krakapp/web.py bounds its head

MAX_BODY_BYTES = 1_048_576
UPLOADS: dict[str, int] = {}  # a path, and how many bytes a body may have there
BODY_S = 30  # seconds for a whole body
UPLOAD_S = 300
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000
DATA_UPLOAD_MAX_NUMBER_FILES = 10

# Apps: the stack of docs/architecture.md, top first

INSTALLED_APPS = [
    "krakapp",
    "portfolio",
    "spending",
    "trading",
    "payments",
    "market",
    "instruments",
    "kyc",
    "ledger",
    "users",
    "common",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.headless",
    "allauth.mfa",
    "allauth.usersessions",
    "channels",
    "csp",
    "django_countries",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "template_partials",
]

MIDDLEWARE = [
    "krakapp.middleware.request_id",
    "krakapp.middleware.problems",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "csp.middleware.CSPMiddleware",
    "krakapp.middleware.maintenance",
    "krakapp.middleware.apart",
    "krakapp.middleware.limited",
    "krakapp.middleware.readable",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "krakapp.middleware.limited_customer",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "krakapp.middleware.keep_session",
    "krakapp.middleware.know_device",
    "krakapp.middleware.leave_nothing",
    "django_htmx.middleware.HtmxMiddleware",
    "krakapp.preferences.preferences",
    "krakapp.middleware.sign_in_again",
    "krakapp.middleware.relaxed_policy",
    "krakapp.middleware.whole_acts",
    "krakapp.staff.staff_door",
]

ROOT_URLCONF = "krakapp.urls"
ASGI_APPLICATION = "krakapp.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "builtins": ["common.templatetags.components", "common.templatetags.moments"],
        },
    }
]

# How long a request may wait for the database and for Redis, all its waits together, in seconds

WAIT_S = float(os.environ.get("WAIT_S", "2"))
WAITS = {  # where another bound holds, by the beginning of the path
    "/webhooks/card": min(WAIT_S, 1.0),  # the network waits for 2 s
    "/admin/": 5 * WAIT_S,
}
SILENCE_S = float(os.environ.get("SILENCE_S", "2"))  # then a part of the platform counts as silent
QUEUE = env_int("QUEUE", 32)  # requests of a process that wait for a thread; more are refused
CONNECT_S = 2  # the least that PostgreSQL's library takes

# Database and Redis: the embedded servers under HOME unless the environment names others

# A socket's path has at most 107 characters, so a deep home keeps its sockets elsewhere.
RUN = HOME / "run"
if len(str(RUN)) > 80:
    RUN = Path("/tmp", f"krakapp-{sha256(bytes(HOME)).hexdigest()[:16]}")  # noqa: S108 made private
_DATABASE_URL = os.environ.get("DATABASE_URL", "")
EMBEDDED_POSTGRES = not _DATABASE_URL
EMBEDDED_VALKEY = not os.environ.get("REDIS_URL")


def embedded_database(role: str, secret: str) -> str:
    """Give the address of the embedded database for one of its two roles."""
    return f"postgresql://{role}:{kept_secret(secret)}@{quote(str(RUN), safe='')}/krakapp"


def database(url: str) -> dict[str, object]:
    """Describe one connection; the pool is for the web process, which says so."""
    config: dict[str, object] = dict(dj_database_url.parse(url, engine="krakapp.postgres"))
    options = dict(config.get("OPTIONS") or {})  # type: ignore[call-overload]
    if pool := env_int("DATABASE_POOL_SIZE", 0):
        # It gives up soon, so that the next who asks tries at once: its own pauses grow long.
        options["pool"] = {
            "min_size": 1,
            "max_size": pool,
            "timeout": WAIT_S,
            "reconnect_timeout": 2,
            "connection_class": BoundedConnection,
        }
    options["prepare_threshold"] = 0  # common.database prepares at once; Django never does
    # A host that is gone is noticed by these. One that hangs is not: whoever waits counts.
    options |= {"connect_timeout": CONNECT_S, "keepalives_idle": 5, "keepalives_interval": 2}
    options |= {"keepalives_count": 3, "tcp_user_timeout": 10_000}
    return {**config, "OPTIONS": options, "CONN_MAX_AGE": 0 if pool else 60}


# `default` is the app's restricted role; `owner` exists where migrations run and nowhere else: an
# empty DATABASE_OWNER_URL, as the platform's processes have it, is nobody's.
if EMBEDDED_POSTGRES:
    _DATABASE_URL = embedded_database("krakapp_app", "database_app")
    _OWNER_URL = os.environ.get("DATABASE_OWNER_URL")
    if _OWNER_URL is None:
        _OWNER_URL = embedded_database("krakapp_owner", "database_owner")
else:
    _OWNER_URL = os.environ.get("DATABASE_OWNER_URL", "")
DATABASES: dict[str, dict[str, object]] = {"default": database(_DATABASE_URL)}
if _OWNER_URL:
    DATABASES["owner"] = database(_OWNER_URL)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = os.environ.get("REDIS_URL", f"unix://{quote(str(RUN))}/valkey.sock?db=0")

CACHES = {
    "default": {
        "BACKEND": "krakapp.cache.ForgetfulCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"pool_class": "common.realtime.BoundedPool"},
    }
}
CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [{"address": REDIS_URL, "socket_timeout": 2, "socket_connect_timeout": 2}],
            "prefix": "krakapp",
        },
    }
}

# Celery

CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://").replace(
    "?db=", "?virtual_host="
)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 600,
    # Who sends a task gives up soon: the rows say what is due, and beat sends it too.
    "socket_timeout": 2,
    "socket_connect_timeout": 2,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0,
}
CELERY_VISIBILITY_TIMEOUT = 600
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"

# Reference prices: "simulated" in a demo, or "kraken" where there is internet

PRICE_FEED = env_feed("PRICE_FEED")
# How long the past of the market is kept; longer candles, and the trades themselves, for good

TAPE_KEPT_DAYS = env_int("TAPE_KEPT_DAYS", 90)
CANDLES_KEPT_DAYS = {
    "1m": env_int("MINUTE_CANDLES_KEPT_DAYS", 35),
    "5m": 190,
    "15m": 400,
    "1h": 1100,
}
SIMULATION_SEED = os.environ.get("SIMULATION_SEED", "krakapp")
SIMULATED_CUSTOMERS = env_int("SIMULATED_CUSTOMERS", 30 if DEMO else 0)
if SIMULATED_CUSTOMERS and not DEMO:
    raise ImproperlyConfigured(
        "SIMULATED_CUSTOMERS are for demo mode only; take them out of the environment."
    )
KRAKEN_WS_URL = os.environ.get("KRAKEN_WS_URL", "wss://ws.kraken.com/v2")

# People: e-mail and password, a code proves the e-mail; the same flows serve HTML and the app API

AUTH_USER_MODEL = "users.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
ACCOUNT_ADAPTER = "users.adapters.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300  # seconds
ACCOUNT_RATE_LIMITS: dict[str, str] | bool = (
    {} if env_bool("ACCOUNT_RATE_LIMITS", default=True) else False
)
HEADLESS_ENABLED = True
HEADLESS_CLIENTS = ("app", "browser")
HEADLESS_TOKEN_STRATEGY = "krakapp.sessions.TokenStrategy"  # noqa: S105 a name
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
PASSKEY_APP_ORIGINS = env_list("PASSKEY_APP_ORIGINS")  # besides our own pages
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_ISSUER = "KrakApp"
MFA_ADAPTER = "users.adapters.MFAAdapter"
USERSESSIONS_ADAPTER = "users.adapters.UserSessionsAdapter"
USERSESSIONS_TRACK_ACTIVITY = True
# Attempts to sign in, and the seconds in which as many are forgotten: from an address, by a device
# that is known to an account, and on an account before a password alone is not enough.
SIGN_IN_ATTEMPTS = {"address": (20, 120), "device": (10, 300), "account": (5, 900)}
DEVICE_KNOWN = timedelta(days=180)
STAFF_PROOF_S = 600  # how old a password or second factor may be for what staff change
# After a change to how an account is entered: how long nothing leaves it, what its cards pay
# meanwhile, in all, and how long the link in the mail undoes it.
SECURITY_HOLD = timedelta(hours=24)
SECURITY_HOLD_CARDS_USD = Decimal(200)
SECURITY_UNDO = timedelta(days=7)
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "portfolio:home"
LOGOUT_REDIRECT_URL = "landing"

# Mail is queued in the database, and sent by the worker: in a demo into a folder, else by SMTP.

EMAIL_BACKEND = "users.adapters.Outbox"
DEFAULT_FROM_EMAIL = os.environ.get("DEFAULT_FROM_EMAIL", "KrakApp <hello@krakapp.test>")
MAIL_HOURS = env_int("MAIL_HOURS", 72)  # after which it is too late to send one
MAIL_KEPT_DAYS = env_int("MAIL_KEPT_DAYS", 90)
NOTICES_KEPT_DAYS = env_int("NOTICES_KEPT_DAYS", 90)  # once read; unread four times as long
MAIL_TRANSPORT = f"django.core.mail.backends.{'filebased' if DEMO else 'smtp'}.EmailBackend"
EMAIL_FILE_PATH = HOME / "mail"
EMAIL_HOST = os.environ.get("EMAIL_HOST", "localhost")
EMAIL_PORT = env_int("EMAIL_PORT", 25)
EMAIL_HOST_USER = os.environ.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = env_bool("EMAIL_USE_TLS")
EMAIL_USE_SSL = env_bool("EMAIL_USE_SSL")
if EMAIL_USE_TLS and EMAIL_USE_SSL:
    raise ImproperlyConfigured(
        "EMAIL_USE_TLS and EMAIL_USE_SSL exclude each other: set the one that EMAIL_PORT speaks."
    )
EMAIL_TIMEOUT = env_int("EMAIL_TIMEOUT", 10)  # seconds, for each step

# REST

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "common.api.SessionTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["common.api.ExactRenderer"],
    "DEFAULT_THROTTLE_CLASSES": ["users.api.CustomerThrottle"],
    "DEFAULT_PARSER_CLASSES": ["common.api.StrictParser"],
    "DEFAULT_PAGINATION_CLASS": "common.api.NewestFirst",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "common.api.problem_handler",
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "KrakApp",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "common.openapi.document_refusals",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "CountryEnum": "django_countries.countries",
        "InstrumentTypeEnum": "instruments.models.Instrument.Type",
        "OrderTypeEnum": "trading.api.serializers.PLACEABLE",
        "SideEnum": "trading.models.Order.Side",
    },
}

# The bank account that customers send dollars to

BANK_STATEMENTS = os.environ.get("BANK_STATEMENTS", "")
BANK_DETAILS = {
    "beneficiary": os.environ.get("BANK_BENEFICIARY", "KrakApp customer funds"),
    "bank": os.environ.get("BANK_NAME", "Simulated Bank" if DEMO else ""),
    "iban": os.environ.get("BANK_IBAN", "LT55 9999 9000 0000 0017" if DEMO else ""),
    "bic": os.environ.get("BANK_BIC", "SIMULT21XXX" if DEMO else ""),
}

# The staff's side

UNFOLD = {
    "SITE_TITLE": "KrakApp",
    "SITE_HEADER": "KrakApp staff",
    "SITE_SYMBOL": "account_balance",
    "COLORS": {
        "primary": {
            "50": "oklch(98% .02 85)",
            "100": "oklch(95% .05 85)",
            "200": "oklch(91% .09 82)",
            "300": "oklch(86% .13 80)",
            "400": "oklch(80% .15 76)",
            "500": "oklch(70% .14 70)",
            "600": "oklch(55% .12 65)",
            "700": "oklch(48% .11 62)",
            "800": "oklch(41% .09 60)",
            "900": "oklch(35% .08 58)",
            "950": "oklch(26% .06 55)",
        }
    },
}

# Static files, security

STATIC_URL = "static/"
STATIC_ROOT = HOME / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "krakapp.storage.StaticStorage"},
}
MEDIA_ROOT = HOME / "media"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "object-src": [NONE],
        "img-src": [SELF, "data:"],
    }
}
SECURE_TLS = env_bool("SECURE_TLS", default=not DEMO)
SECURE_SSL_REDIRECT = SECURE_TLS
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
# The web server says what is HTTPS, by what a proxy of TRUSTED_PROXIES told it (`krakapp.web`).
SECURE_HSTS_SECONDS = 31_536_000 if SECURE_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_TLS
SECURE_HSTS_PRELOAD = SECURE_TLS
SESSION_ENGINE = "krakapp.sessions"
# How long a session lives without use, and at most; a cookie is a browser's, a token an app's.
SESSION_LIVES = {
    "browser": (timedelta(hours=24), timedelta(days=14)),
    "app": (timedelta(days=30), timedelta(days=90)),
    "staff": (timedelta(minutes=30), timedelta(hours=12)),
}
# Browsers take a name with this prefix over HTTPS alone, for this host and the whole of it.
COOKIE_PREFIX = "__Host-" if SECURE_TLS else ""
SESSION_COOKIE_NAME = f"{COOKIE_PREFIX}sessionid"
SESSION_COOKIE_SECURE = SECURE_TLS
CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}csrftoken"
CSRF_COOKIE_SECURE = SECURE_TLS
MESSAGE_STORAGE = "krakapp.messages.MessageStorage"
X_FRAME_OPTIONS = "DENY"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": os.environ.get("LOG_LEVEL", "INFO")},
}
