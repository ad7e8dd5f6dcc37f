"""How deep things that name each other stand: prerequisites and segments."""

from collections.abc import Collection, Mapping


def depths(names: Mapping[str, Collection[str]]) -> dict[str, int | None]:
    """Each key's longest chain of names below it; None if it runs into a cycle. Unknown names count as one step.

    Iterative: a chain of any length is measured, not run into.
    """
    waiting = {key: {name for name in named if name in names} for key, named in names.items()}
    naming: dict[str, list[str]] = {key: [] for key in names}
    for key, named in waiting.items():
        for name in named:
            naming[name].append(key)
    found: dict[str, int | None] = dict.fromkeys(names)
    ready = [key for key, named in waiting.items() if not named]
    while ready:
        key = ready.pop()
        below = [found.get(name) or 0 for name in names[key]]
        found[key] = 1 + max(below) if below else 0
        for upper in naming[key]:
            waiting[upper].discard(key)
            if not waiting[upper]:
                ready.append(upper)
    return found


def closure(starts: Collection[str], naming: Mapping[str, Collection[str]]) -> set[str]:
    """The starts and everything that is reached from them."""
    reached = set(starts)
    todo = list(starts)
    while todo:
        for name in naming.get(todo.pop(), ()):
            if name not in reached:
                reached.add(name)
                todo.append(name)
    return reached
