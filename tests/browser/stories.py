"""The stories of the page, each from click to bytes on disk, in Chromium: on a phone and a desk, light and dark, with and without a script."""

import os
import pathlib
import shutil
import sys
import time
import zipfile

from playwright.sync_api import sync_playwright

from service import FILM, PASSWORD, ROOT, Service, files

AXE = (ROOT / "target/browser/axe.min.js").read_text()
IMAGES = ROOT / "docs/images"
SCREENSHOTS = os.environ.get("JELLYVAULT_SCREENSHOTS") == "1"
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
ITEM = "/library/" + FILM.rsplit("/", 1)[1]
PAGES = [
    "/", "/snapshots", "/snapshots?q=nobody", "/snapshots/latest", "/snapshots/latest/browse", f"/snapshots/latest/browse/{FILM}",
    f"/snapshots/latest/browse/{FILM}/poster.jpg", "/snapshots/latest/browse/config/system.xml", "/compare/latest~1/latest", "/compare/latest~1/now",
    "/library", "/library?q=crimson", ITEM, "/restore", f"/restore?snapshot=latest&path={FILM}", "/export?snapshot=latest", "/import", "/jobs", "/health",
    "/settings", "/settings/retention", "/nowhere",
]


def sign_in(page, service, password=PASSWORD):
    page.goto(service.address + "/login")
    page.fill("input[name=password]", password)
    go(page, "main button")


def go(page, selector):
    """Clicks on what leads to another page, and waits for that page."""
    with page.expect_navigation(timeout=60_000):
        page.click(selector)


def shoot(page, name):
    """A picture of the documentation, where those are wanted."""
    if SCREENSHOTS:
        IMAGES.mkdir(exist_ok=True)
        page.screenshot(path=IMAGES / f"{name}.png", full_page=page.viewport_size["width"] > 500, animations="disabled")


class Watch:
    """A tab whose errors fail the story."""

    def __init__(self, browser, size=DESK, scheme="light", script=True):
        self.context = browser.new_context(viewport=size, color_scheme=scheme, java_script_enabled=script, accept_downloads=True, timezone_id="UTC")
        self.page = self.context.new_page()
        self.errors = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" and "status of" not in message.text else None)

    def __enter__(self):
        return self.page

    def __exit__(self, kind, *_):
        self.context.close()
        assert kind or not self.errors, self.errors


def every_page_is_accessible(browser):
    found = []
    with Service() as service:
        for size, scheme in [(DESK, "light"), (PHONE, "dark"), (PHONE, "light"), (DESK, "dark")]:
            with Watch(browser, size, scheme) as page:
                page.goto(service.address + "/login")
                found += axe(page, "/login", size, scheme)
                sign_in(page, service)
                for path in PAGES:
                    page.goto(service.address + path)
                    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
                    found += axe(page, path, size, scheme)
                    if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                        found.append(f"{path} is wider than the screen ({size})")
    assert found == [], "\n".join(found)


def axe(page, path, size, scheme):
    """What axe-core finds wrong with a page."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run().then((result) => result.violations.map((one) => one.id + ': ' + one.nodes.map((node) => node.html.slice(0, 200)).join(' | ')))")
    return [f"{path} {size['width']} {scheme}: {one}" for one in found]


def every_page_works_without_a_script(browser):
    with Service() as service, Watch(browser, PHONE, script=False) as page:
        sign_in(page, service)
        for path in PAGES:
            page.goto(service.address + path)
            assert page.locator("h1").count() == 1 and page.locator("main").inner_text().strip(), path
        page.goto(service.address + "/snapshots")
        page.locator("input[name=from]").last.check()
        page.locator("input[name=to]").first.check()
        go(page, "text=Compare the two that are chosen")
        assert "poster of Crimson Signal 4" in page.locator("main").inner_text()
        go(page, "text=Dark colours")
        assert page.locator("html").get_attribute("data-theme") == "dark"


def set_up_from_nothing(browser):
    with Service(snapshots=False, password=False) as service, Watch(browser) as page:
        page.goto(service.address)
        assert "No password is set yet" in page.inner_text("main")
        page.goto(service.link)
        page.fill("input[name=password]", PASSWORD)
        page.fill("input[name=again]", PASSWORD)
        go(page, "main button")
        # The first snapshot is due at once.
        page.wait_for_selector("text=Protected. The last snapshot was taken", timeout=30_000)
        assert '"snapshots"' in service.cli("--json", "list") and len(service.cli("list").splitlines()) == 2


def am_i_safe(browser):
    with Service() as service, Watch(browser) as page:
        sign_in(page, service)
        page.wait_for_selector(".state.good")
        away = service.home / "unplugged"
        service.repo.rename(away)
        go(page, "text=Take a snapshot now")
        page.goto(service.address)
        page.wait_for_selector("text=the repository is unavailable", timeout=30_000)
        assert page.locator(".state.attention, .state.bad").count() > 0 and not service.repo.exists()
        away.rename(service.repo)
        go(page, "text=Take a snapshot now")
        page.goto(service.address)
        page.wait_for_selector(".state.good", timeout=30_000)


def a_wrong_poster_is_found_and_brought_back(browser):
    for script in [True, False]:
        with Service() as service, Watch(browser, PHONE, script=script) as page:
            good = (ROOT / "tests/fixtures/attic" / FILM / "poster.jpg").read_bytes()
            assert (service.data / FILM / "poster.jpg").read_bytes() != good
            sign_in(page, service)
            go(page, "nav >> text=Library")
            page.fill("input[name=q]", "crimson signal")
            go(page, "main button")
            go(page, "text=Crimson Signal 4")
            assert page.locator("text=Bring this one back").count() == 2
            go(page, "text=Bring this one back >> nth=-1")
            go(page, "text=Show what would be done")
            assert "poster.jpg" in page.inner_text("main") and (service.data / FILM / "poster.jpg").read_bytes() != good
            go(page, "text=Restore now")
            page.wait_for_selector(".badge.good", timeout=30_000)
            assert (service.data / FILM / "poster.jpg").read_bytes() == good


def what_happened_is_compared(browser):
    with Service() as service, Watch(browser) as page:
        sign_in(page, service)
        page.wait_for_selector("text=poster of Crimson Signal 4", timeout=30_000)
        page.goto(service.address + "/compare/latest~1/latest")
        assert "newly watched" in page.inner_text("main")
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.className") == "pair"
        page.click("text=One over the other")
        page.locator("input[type=range]").fill("0")
        assert page.evaluate("document.getElementById('fade-0').style.opacity") == "0"
        page.goto(service.address + "/snapshots?q=newly+watched")
        assert "1 of 2 snapshots" in page.inner_text("main")


def the_whole_server_comes_back(browser):
    with Service() as service, Watch(browser) as page:
        before = files(service.data)
        for folder in ["config", "metadata", "root", "plugins"]:
            shutil.rmtree(service.data / folder)
        (service.data / "data/jellyfin.db").unlink()
        sign_in(page, service)
        page.goto(service.address + "/restore?snapshot=latest")
        page.check("input[value=all]")
        go(page, "text=Show what would be done")
        go(page, "text=Restore now")
        page.wait_for_selector(".badge.good", timeout=60_000)
        after = files(service.data)
        assert after == before, set(before) ^ set(after)


def a_zip_is_downloaded(browser):
    with Service() as service, Watch(browser) as page:
        sign_in(page, service)
        page.goto(service.address + "/export?snapshot=latest")
        with page.expect_download(timeout=60_000) as waited:
            page.click("main a.button.first")
        own = service.home / "own.zip"
        service.cli("export", "latest", "--tables", str(own))
        assert pathlib.Path(waited.value.path()).read_bytes() == own.read_bytes()
        page.goto(service.address + f"/snapshots/latest/browse/{FILM}")
        with page.expect_download() as waited:
            page.click("text=Download the folder as a zip")
        with zipfile.ZipFile(waited.value.path()) as archive:
            assert archive.read("poster.jpg") == (service.data / FILM / "poster.jpg").read_bytes()


def a_backup_is_uploaded(browser):
    """A zip of the server's own becomes a snapshot; the pictures of the library are drawn in small."""
    for script in [True, False]:
        with Service() as service, Watch(browser, PHONE, script=script) as page:
            sign_in(page, service)
            before = service.cli("list", "--json").count('"id"')
            page.goto(service.address + "/import")
            page.set_input_files("input[name=zip]", ROOT / "tests/fixtures/zips/extremes-12.0.zip")
            go(page, "text=Upload and import")
            for _ in range(300):
                if not page.locator("text=It is running").count() and page.locator(".badge").count():
                    break
                time.sleep(0.1)
                page.reload()
            assert "running" not in page.inner_text(".badge >> nth=0"), page.inner_text("main")
            assert service.cli("list", "--json").count('"id"') > before
            page.goto(service.address + "/library?q=crimson&snapshot=latest~1")
            if script:
                # Pictures are loaded when they come into view, after the page itself.
                for picture in page.locator(".posters img").all():
                    picture.scroll_into_view_if_needed()
                    page.wait_for_function("one => one.complete && one.naturalWidth && one.currentSrc.includes('/pictures/')", arg=picture.element_handle())
                assert page.locator(".posters img").count()


def wrong_passwords_are_slowed_down(browser):
    with Service() as service, Watch(browser) as page:
        said = []
        for _ in range(10):
            sign_in(page, service, "wrong password")
            said.append(page.inner_text("main"))
        assert any("Too many wrong passwords" in text for text in said), said
        # The right one opens as soon as the wait is over.
        for _ in range(30):
            sign_in(page, service)
            if page.inner_text("h1") == "Overview":
                return
            time.sleep(1)
        raise AssertionError(page.inner_text("main"))


def retention_is_previewed_and_a_snapshot_removed_by_keyboard(browser):
    with Service() as service, Watch(browser) as page:
        sign_in(page, service)
        page.goto(service.address + "/settings/retention")
        assert "Nothing: a rule keeps each snapshot." in page.inner_text("main")
        first = service.cli("list").splitlines()[1].split()[0]
        page.goto(service.address + f"/snapshots/{first}")
        page.locator("summary", has_text="Remove this snapshot").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert "Remove the snapshot" in page.evaluate("document.activeElement.textContent")
        page.keyboard.press("Enter")
        page.wait_for_selector(".badge.good", timeout=30_000)
        assert first not in service.cli("list")


def pictures_of_the_documentation(browser):
    with Service() as service:
        with Watch(browser) as page:
            sign_in(page, service)
            page.wait_for_selector("text=poster of Crimson Signal 4", timeout=30_000)
            for name, path in [("overview", "/"), ("snapshots", "/snapshots"), ("compare", "/compare/latest~1/latest"), ("item", ITEM)]:
                page.goto(service.address + path)
                shoot(page, name)
            go(page, "text=Bring this one back >> nth=-1")
            go(page, "text=Show what would be done")
            shoot(page, "restore")
        with Watch(browser, PHONE, "dark") as page:
            sign_in(page, service)
            page.wait_for_selector("text=poster of Crimson Signal 4", timeout=30_000)
            shoot(page, "phone")


STORIES = [
    set_up_from_nothing, am_i_safe, a_wrong_poster_is_found_and_brought_back, what_happened_is_compared, the_whole_server_comes_back, a_zip_is_downloaded,
    a_backup_is_uploaded,
    wrong_passwords_are_slowed_down, retention_is_previewed_and_a_snapshot_removed_by_keyboard, every_page_works_without_a_script, every_page_is_accessible,
    pictures_of_the_documentation,
]


def main():
    wanted = [story for story in STORIES if not sys.argv[1:] or story.__name__ in sys.argv[1:]]
    assert wanted, f"no story is called {sys.argv[1:]}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=["--no-sandbox"])
        for story in wanted:
            begun = time.monotonic()
            story(browser)
            print(f"{story.__name__} … ok ({time.monotonic() - begun:.1f} s)", flush=True)
        browser.close()
    print(f"{len(wanted)} stories in a browser: all ok")


main()
