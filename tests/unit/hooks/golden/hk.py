"""Python of a user, as the files of mistakes beside this one name it. Nothing here must be called."""

from functools import partial, wraps


def never(*_, **__):
    """Be called."""
    raise AssertionError


class Upper:
    """Takes an option that may be left out."""

    def __init__(self, app, mood="good"):
        never(app, mood)


class Tagged:
    """Takes an option that it needs."""

    def __init__(self, app, *, tag, mark, level=1):
        never(app, tag, mark, level)


class Any:
    """Takes whatever there is."""

    def __init__(self, app, **options):
        never(app, options)


class New:
    """Has a signature that is none, so that nothing is known."""

    __signature__ = property(never)

    def __new__(cls, app, size):
        never(cls, app, size)


def adapted(function):
    """Give `function` the argument it wants, whatever its name says."""

    @wraps(function)
    def wrapper(app, **options):
        return function(app, "tag", **options)

    return wrapper


@adapted
def given(app, tag, *, level):
    """Get its tag from the decorator."""
    never(app, tag, level)


def nothing():
    """Take nothing."""
    never()


def only_named(*, app):
    """Take its argument by name only."""
    never(app)


def placed(app, tag, /):
    """Take its arguments by place only."""
    never(app, tag)


class Nearest:
    """A policy that wants more than the endpoints."""

    def __init__(self, endpoints, zone, factor=2):
        never(endpoints, zone, factor)


class Keys:
    """Has a key function that is a method."""

    def tenant(self, environ):
        """Return a key."""
        never(self, environ)


class _Callable:
    def __call__(self, app, name):
        never(self, app, name)


instance = _Callable()
short = partial(Tagged, tag="x", mark="y")
bare = type("bare", (), {})
# What has no signature at all.
unknown = type
