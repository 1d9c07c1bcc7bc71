"""Merging along a path: depth, not order; attribute by attribute; collections; locks. Compared with naive readings."""

import random
from collections.abc import Iterator

import pytest
from configurations import ROOT, auth_at, configuration, element, location, paths_of, site, web_config, windows
from hypothesis import given
from hypothesis import strategies as st

from agent.iis.authentication import Auth, AuthenticationPaths
from agent.iis.merge import initial
from agent.iis.schema import WINDOWS_AUTHENTICATION_SCHEMA
from agent.model import Origin, WindowsAuth
from agent.names import path_key

# -- naive readings ------------------------------------------------------------------------------------------------

PATHS = ("", "Site", "Site/a", "Site/ab", "Site/a/b", "Site/a/b/c", "Site/b", "Sit", "Other", "Other/a")
ATTRIBUTES = {"enabled": False, "useKernelMode": True, "useAppPoolCredentials": False}
Flags = dict[str, bool]

flags = st.dictionaries(st.sampled_from(sorted(ATTRIBUTES)), st.booleans(), max_size=3)
places = st.dictionaries(st.sampled_from(PATHS), flags, max_size=len(PATHS))


def section(values: Flags, inner: str = "") -> str:
    return windows(inner, **{name: str(value).lower() for name, value in values.items()})


def levels(path: str) -> list[str]:
    """ "", "Site", "Site/a" for "Site/a"."""
    parts = path.split("/") if path else []
    return ["/".join(parts[:count]) for count in range(len(parts) + 1)]


def flags_of(auth: Auth) -> Flags:
    assert auth.settings is not None, auth.fault
    found = auth.settings
    return {
        "enabled": found.enabled,
        "useKernelMode": found.kernel_mode,
        "useAppPoolCredentials": found.pool_credentials,
    }


def test_before_any_file_speaks_the_schemas_defaults_hold() -> None:
    """IIS_schema.xml of IIS 10: kernel mode is on, all else is off."""
    plain = initial(WINDOWS_AUTHENTICATION_SCHEMA).kind.merged
    assert {name: value.value for name, value in plain.values.items()} == {
        "enabled": False,
        "authPersistSingleRequest": False,
        "authPersistNonNTLM": False,
        "useKernelMode": True,
        "useAppPoolCredentials": False,
    }
    protection = plain.elements["extendedProtection"].values
    assert {name: value.value for name, value in protection.items()} == {"tokenChecking": "None", "flags": "None"}
    assert all(value.where is None for value in (*plain.values.values(), *protection.values()))
    assert plain.elements["providers"].items == ()


@given(places, st.randoms(use_true_random=False))
def test_the_deepest_place_that_sets_an_attribute_wins_in_any_order(
    said: dict[str, Flags], shuffled: random.Random
) -> None:
    tags = [location(path, section(values)) for path, values in said.items()]
    shuffled.shuffle(tags)
    evaluated = paths_of(configuration(root="", body="".join(tags)))
    for path in PATHS:
        expected = dict(ATTRIBUTES)
        for level in levels(path):
            expected |= said.get(level, {})
        assert flags_of(evaluated.at(path_key(path))) == expected


@given(places, st.randoms(use_true_random=False))
def test_case_of_a_path_does_not_count(said: dict[str, Flags], chance: random.Random) -> None:
    def mixed(text: str) -> str:
        return "".join(chance.choice((c.lower(), c.upper())) for c in text)

    plain = paths_of(configuration(body="".join(location(path, section(v)) for path, v in said.items() if path)))
    other = paths_of(configuration(body="".join(location(mixed(path), section(v)) for path, v in said.items() if path)))
    for path in PATHS:
        assert plain.at(path_key(path)).settings == other.at(path_key(mixed(path))).settings


Steps = tuple[bool, list[str], list[str]]
PROVIDERS = ("Negotiate", "NTLM", "Negotiate:Kerberos")
names = st.lists(st.sampled_from((*PROVIDERS, "negotiate", "ntlm")), max_size=2)
collections = st.dictionaries(st.sampled_from(PATHS[:6]), st.tuples(st.booleans(), names, names), max_size=6)


def naive_list(said: dict[str, Steps], path: str) -> list[str] | None:
    """Clear, then remove, then add at each level; None where a key is added that is there."""
    current: list[str] = []
    for level in levels(path):
        clears, removes, adds = said.get(level, (False, [], []))
        current = [] if clears else [name for name in current if name.lower() not in {r.lower() for r in removes}]
        for name in adds:
            if name.lower() in {known.lower() for known in current}:
                return None
            current.append(name)
    return current


@given(collections)
def test_collections_are_cleared_removed_and_appended_level_by_level(said: dict[str, Steps]) -> None:
    tags = []
    for path, (clears, removes, adds) in said.items():
        steps = "<clear/>" * clears
        steps += "".join(element("remove", value=name) for name in removes)
        steps += "".join(element("add", value=name) for name in adds)
        tags.append(location(path, windows(element("providers", steps))))
    evaluated = paths_of(configuration(root="", body="".join(tags)))
    for path in PATHS[:6]:
        expected = naive_list(said, path)
        auth = evaluated.at(path_key(path))
        if expected is None:
            assert auth.fault is not None
            assert (auth.fault.id, "duplicate collection entry" in auth.fault.message) == ("config-invalid", True)
        else:
            assert auth.settings is not None
            assert list(auth.settings.providers) == expected


FILES = {"": None, "Site": r"C:\web\web.config", "Site/app": r"C:\app\web.config", "Site/app/d": r"C:\app\d\web.config"}
BELOW = ("", "app", "app/d", "d", "d/e")
contributions = st.dictionaries(st.tuples(st.sampled_from(sorted(FILES)), st.sampled_from(BELOW)), flags, max_size=12)


def target(level: str, below: str) -> str:
    return "/".join(part for part in (level or "Site", below) if part)


def texts(said: dict[tuple[str, str], Flags]) -> Iterator[tuple[str, str]]:
    for level in FILES:
        found = [(below, values) for (at, below), values in said.items() if at == level]
        yield (
            level,
            "".join(
                location(target(level, below) if not level else below, section(v)) if below or not level else section(v)
                for below, v in found
            ),
        )


@given(contributions)
def test_depth_of_path_first_then_nearness_of_file(said: dict[tuple[str, str], Flags]) -> None:
    bodies = dict(texts(said))
    files = {str(FILES[level]): web_config(body) for level, body in bodies.items() if level and body}
    evaluated = paths_of(configuration(root="", body=bodies[""], mode="Allow"), files)
    for path in ("Site", "Site/d", "Site/app", "Site/app/d", "Site/app/d/e", "Site/app/d/e/f"):
        expected = dict(ATTRIBUTES)
        for name in ATTRIBUTES:
            reaching = [
                (target(level, below).count("/"), level.count("/") + bool(level), values[name])
                for (level, below), values in said.items()
                if name in values and target(level, below) in levels(path)
            ]
            if reaching:
                expected[name] = max(reaching)[2]
        assert flags_of(evaluated.at(path_key(path))) == expected


modes = st.dictionaries(st.sampled_from(("", "Site", "Site/app", "Site/app/d")), st.sampled_from(("Allow", "Deny")))


@given(modes, st.sampled_from(("Allow", "Deny")), st.sampled_from(("Site", "Site/app", "Site/app/d")))
def test_the_nearest_override_mode_locks_or_unlocks_the_files_below(
    said: dict[str, str], default: str, holder: str
) -> None:
    tags = "".join(location(path, windows(), overrideMode=mode) for path, mode in said.items())
    files = {str(FILES[holder]): web_config("\n" + windows(enabled="true"))}
    evaluated = paths_of(configuration(root="", body=tags, mode=default), files)
    mode = ([default] + [said[level] for level in levels(holder) if level in said])[-1]
    for path in ("Site", "Site/app", "Site/app/d", "Site/app/d/e"):
        auth = evaluated.at(path_key(path))
        if holder not in levels(path):
            assert auth.settings is not None
            assert not auth.settings.enabled
        elif mode == "Allow":
            assert auth.settings is not None
            assert auth.settings.enabled
        else:
            assert auth.fault is not None
            assert (auth.fault.id, auth.fault.file, auth.fault.line) == ("section-locked", FILES[holder], 2)


# -- by hand -------------------------------------------------------------------------------------------------------


def settings(auth: Auth) -> WindowsAuth:
    assert auth.settings is not None, auth.fault
    return auth.settings


def test_whole_segments_only() -> None:
    text = configuration(body=location("Site/ap", windows(enabled="true")))
    assert settings(auth_at(text, "Site/ap")).enabled
    assert settings(auth_at(text, "Site/ap/x")).enabled
    assert not settings(auth_at(text, "Site/app")).enabled
    assert not settings(auth_at(text, "Site")).enabled


@pytest.mark.parametrize("path", ["", "."])
def test_no_path_is_the_level_of_the_file(path: str) -> None:
    text = configuration(root="", body=location(path, windows(enabled="true")))
    assert settings(auth_at(text, "Site/app")).enabled
    assert settings(auth_at(text.replace(f' path="{path}"', ""), "Site/app")).enabled


@pytest.mark.parametrize(
    "twice",
    [
        location("Site", windows()) + "\n" + location("Site", windows()),
        location("site", windows()) + "\n" + location("SITE", windows()),
        location("Site", windows() + "\n" + windows()),
    ],
)
def test_a_section_twice_for_one_path_is_refused_there_and_below(twice: str) -> None:
    text = configuration(body=twice)
    for path in ("Site", "Site/app"):
        fault = auth_at(text, path).fault
        assert fault is not None
        assert (fault.id, fault.line, "0x800700B7" in fault.message) == ("config-invalid", 2, True)
    assert auth_at(text, "Other").fault is None


@pytest.mark.parametrize("second", [windows(), location("", windows()), location(".", windows())])
def test_a_section_twice_at_the_level_of_the_file(second: str) -> None:
    assert auth_at(configuration(body=second), "Site").fault is not None


def test_one_path_may_stand_in_several_tags_for_different_sections() -> None:
    other = location("Site", "<system.webServer><asp/></system.webServer>", overrideMode="Allow")
    assert settings(auth_at(configuration(body=location("Site", windows(enabled="true")) + other), "Site")).enabled


@pytest.mark.parametrize(
    ("section_text", "words"),
    [
        (windows(enabled="1"), "not a valid boolean"),
        (windows(enabled=""), "not a valid boolean"),
        (windows(enabled="yes"), "not a valid boolean"),
        (windows(useKernelmode="false"), "unrecognized attribute 'useKernelmode'"),
        (windows("<provider/>"), "unrecognized element <provider>"),
        (windows("<providers><Add value='NTLM'/></providers>"), "unrecognized element <Add>"),
        (windows("<providers><add name='NTLM'/></providers>"), "missing required attribute 'value'"),
        (windows("<providers><add value='X' y='z'/></providers>"), "unrecognized attribute 'y'"),
        (windows("<extendedProtection tokenChecking='2'/>"), "one of None, Allow, Require"),
        (windows("<extendedProtection flags='Proxy,Nothing'/>"), "some combination of None, Proxy"),
        (windows("<extendedProtection><add name='x'/></extendedProtection>"), "unrecognized element <add>"),
        (windows(configSource="x.config"), "unrecognized attribute 'configSource'"),
    ],
)
def test_what_ii_s_does_not_know_is_an_error_here_and_below(section_text: str, words: str) -> None:
    text = configuration(body="\n\n" + location("Site", section_text))
    for path in ("Site", "Site/app"):
        fault = auth_at(text, path).fault
        assert fault is not None
        assert words in fault.message
        assert (fault.id, fault.file, fault.line) == ("config-invalid", "applicationHost.config", 3)
    assert auth_at(text, "Other").fault is None


@pytest.mark.parametrize(
    ("written", "read"),
    [("Proxy, NoServiceNameCheck", "Proxy,NoServiceNameCheck"), ("PROXY", "Proxy"), ("none", "None")],
)
def test_flags_in_any_case_with_blanks(written: str, read: str) -> None:
    text = configuration(body=location("Site", windows(element("extendedProtection", flags=written))))
    assert settings(auth_at(text, "Site")).flags == read


def test_extended_protection_merges_one_by_one() -> None:
    outer = windows(element("extendedProtection", '<spn name="HTTP/a" />', tokenChecking="Allow", flags="Proxy"))
    inner = windows(element("extendedProtection", '<clearSpns/><spn name="HTTP/a" />', tokenChecking="Require"))
    text = configuration(root=outer, body=location("Site", inner))
    found = settings(auth_at(text, "Site"))
    assert (found.token_checking, found.flags) == ("Require", "Proxy")
    assert auth_at(text.replace("<clearSpns/>", ""), "Site").fault is not None


def test_removing_what_is_not_there_is_no_error() -> None:
    text = configuration(body=location("Site", windows('<providers><remove value="Other" /></providers>')))
    assert settings(auth_at(text, "Site")).providers == ("Negotiate", "NTLM")


# -- locks ---------------------------------------------------------------------------------------------------------

LOCKS = [
    ({"lockAttributes": "useKernelMode"}, windows(useKernelMode="true"), True),
    ({"lockAttributes": "useKernelMode"}, windows(enabled="true"), False),
    ({"lockAttributes": "enabled, useKernelMode"}, windows(useKernelMode="true"), True),
    ({"lockAttributes": "*"}, windows(enabled="true"), True),
    ({"lockAttributes": "*"}, windows("<providers/>"), False),
    ({"lockAllAttributesExcept": "enabled"}, windows(enabled="true"), False),
    ({"lockAllAttributesExcept": "enabled"}, windows(useKernelMode="true"), True),
    ({"lockElements": "providers"}, windows("<providers><clear/></providers>"), True),
    ({"lockElements": "providers"}, windows("<extendedProtection/>"), False),
    ({"lockElements": "*"}, windows("<extendedProtection/>"), True),
    ({"lockAllElementsExcept": "providers"}, windows("<providers><clear/></providers>"), False),
    ({"lockAllElementsExcept": "providers"}, windows("<extendedProtection/>"), True),
]


@pytest.mark.parametrize(("lock", "below", "violates"), LOCKS)
def test_locks_of_parts_bind_web_config_files(lock: dict[str, str], below: str, violates: bool) -> None:
    text = configuration(root=windows(ROOT, **lock), mode="Allow")
    for level, file in list(FILES.items())[1:]:
        fault = auth_at(text, level, {str(file): web_config(below)}).fault
        assert (fault is not None) == violates
        if fault is not None:
            assert (fault.id, fault.file, "lock violation" in fault.message) == ("section-locked", file, True)


@pytest.mark.parametrize(("lock", "below", "violates"), LOCKS)
def test_locks_of_parts_do_not_bind_the_same_file(lock: dict[str, str], below: str, violates: bool) -> None:
    del violates
    assert auth_at(configuration(root=windows(ROOT, **lock), body=location("Site", below)), "Site").fault is None


@pytest.mark.parametrize("lock", ["lockAttributes", "lockAllAttributesExcept", "lockElements", "lockAllElementsExcept"])
def test_a_lock_on_something_that_does_not_exist(lock: str) -> None:
    fault = auth_at(configuration(root=windows(**{lock: "noSuchThing"})), "Site").fault
    assert fault is not None
    assert (fault.id, "'noSuchThing'" in fault.message) == ("config-invalid", True)


@pytest.mark.parametrize(
    ("change", "violates"),
    [
        ('<remove value="Negotiate" />', True),
        ('<remove value="negotiate" />', True),
        ('<remove value="NTLM" />', False),
        ("<clear />", True),
        ('<add value="Negotiate:Kerberos" />', False),
    ],
)
def test_a_locked_item(change: str, violates: bool) -> None:
    root = ROOT.replace('value="Negotiate"', 'value="Negotiate" lockItem="true"')
    changed = windows(element("providers", change))
    fault = auth_at(configuration(root=windows(root), mode="Allow"), "Site", {FILES["Site"]: web_config(changed)}).fault  # type: ignore[dict-item]
    assert (fault is not None and fault.id == "section-locked") == violates
    assert auth_at(configuration(root=windows(root), body=location("Site", changed)), "Site").fault is None


def test_a_lock_in_a_web_config_binds_the_files_below_it_only() -> None:
    files = {
        r"C:\web\web.config": web_config(windows(lockAttributes="enabled", enabled="true")),
        r"C:\app\web.config": web_config(windows(enabled="false")),
    }
    text = configuration(mode="Allow")
    assert settings(auth_at(text, "Site", files)).enabled
    fault = auth_at(text, "Site/app", files).fault
    assert fault is not None
    assert (fault.id, fault.file) == ("section-locked", r"C:\app\web.config")


def test_a_deny_in_a_web_config_does_not_bind_that_file() -> None:
    denied = location(".", windows(useKernelMode="false"), overrideMode="Deny")
    files = {r"C:\web\web.config": web_config(denied + location("d/e", windows(enabled="true")))}
    found = settings(auth_at(configuration(mode="Allow"), "Site/d/e", files))
    assert (found.enabled, found.kernel_mode) == (True, False)


def test_the_section_is_locked_where_the_file_declares_nothing() -> None:
    text = configuration()
    minimal = (
        text[: text.index("<configSections>")] + text[text.index("</configSections>") + len("</configSections>") :]
    )
    fault = auth_at(minimal, "Site", {r"C:\web\web.config": web_config(windows(enabled="true"))}).fault
    assert fault is not None
    assert fault.id == "section-locked"


# -- origins -------------------------------------------------------------------------------------------------------


def test_every_value_says_where_it_comes_from() -> None:
    text = configuration(
        root="\n" + windows(ROOT, enabled="true"),
        body="\n" + location("site", windows(useKernelMode="false")),
    )
    origins = auth_at(text, "Site").origins
    file = "applicationHost.config"
    assert origins.enabled == Origin(file, 2, "", "inherited")
    assert origins.providers == Origin(file, 2, "", "inherited")
    assert origins.kernel_mode == Origin(file, 3, "site", "explicit")
    assert origins.pool_credentials == Origin(None, None, "", "default")
    assert auth_at(text, "Site/app").origins.kernel_mode == Origin(file, 3, "site", "inherited")


def test_an_empty_element_sets_nothing() -> None:
    text = configuration(body="\n" + location("Site", windows("<providers/>")))
    assert auth_at(text, "Site").origins.providers == Origin("applicationHost.config", 1, "", "inherited")
    assert auth_at(text, "Site").origins.enabled == Origin(None, None, "", "default")


def test_a_location_that_is_not_understood_sets_nothing() -> None:
    text = configuration(body=location("Site/", windows(enabled="true")) + location("Site/*", windows(enabled="true")))
    evaluated = paths_of(text)
    assert evaluated.places("site") == ()
    assert not settings(evaluated.at("site")).enabled
    assert not settings(evaluated.at("site/app")).enabled


def test_contradictory_tags_are_an_error_where_they_stand() -> None:
    both = {"overrideMode": "Allow", "allowOverride": "false"}
    text = configuration(body=location("Site/app", "", **both))
    assert auth_at(text, "Site").fault is None
    fault = auth_at(text, "Site/app/x").fault
    assert fault is not None
    assert fault.id == "config-invalid"
    everywhere = configuration(root="", body=location(".", windows(), **both))
    assert auth_at(everywhere, "Site").fault is not None


def test_inherited_origin_survives_where_nothing_is_known() -> None:
    auth = auth_at(configuration(root=""), "Site")
    assert settings(auth).providers == ()
    assert settings(auth) == WindowsAuth(
        enabled=False, kernel_mode=True, pool_credentials=False, providers=(), token_checking="None", flags="None"
    )


# -- what is worked out once ---------------------------------------------------------------------------------------

WORDINGS = (
    windows(enabled="true"),
    windows(enabled="false", useKernelMode="false"),
    windows(useKernelMode="maybe"),
    windows('<providers><clear /><add value="NTLM" lockItem="true" /></providers>'),
    windows('<providers><add value="negotiate" /></providers>', enabled="true"),
    windows('<providers><remove value="NTLM" /></providers><providers><add value="NTLM" /></providers>'),
    windows('<extendedProtection tokenChecking="Require"><spn name="HTTP/a" /></extendedProtection>'),
    windows(lockAttributes="enabled", useAppPoolCredentials="true"),
    windows("<nothing />"),
    windows(),
)
MODES = ({}, {"overrideMode": "Allow"}, {"overrideMode": "Deny"}, {"inheritInChildApplications": "false"})
BRANCHES = tuple((f"S{n}", f"S{n}/app", f"S{n}/app/d") for n in range(4))
spoken = st.dictionaries(
    st.sampled_from([path for branch in BRANCHES for path in branch]),
    st.tuples(st.sampled_from(WORDINGS), st.sampled_from(MODES)),
)


@given(spoken, st.sampled_from(WORDINGS[:8]))
def test_places_of_one_wording_have_their_own_lines_as_each_has_alone(
    said: dict[str, tuple[str, dict[str, str]]], root: str
) -> None:
    """The order of what was merged before, and where else it was, decide nothing."""
    sites = "".join(site(branch[0], id=str(n)) for n, branch in enumerate(BRANCHES, 1))
    lines = {path: location(path, section, **mode).replace("><", ">\n<") for path, (section, mode) in said.items()}

    def evaluated(branch: tuple[str, ...]) -> AuthenticationPaths:
        body = "\n".join(text if path in branch else "\n" * text.count("\n") for path, text in lines.items())
        return paths_of(configuration(sites=sites, root=root, body=body))

    together = evaluated(tuple(said))
    for branch in BRANCHES:
        alone = evaluated(branch)
        for path in (*branch, f"{branch[-1]}/e"):
            assert together.at(path_key(path)) == alone.at(path_key(path))
