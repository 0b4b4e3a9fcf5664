"""Pages for administrators in a real browser."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.wait import WebDriverWait

from palpo.cli.commands.start import write_configuration
from tests.support.chromium import WAIT_S, chromium, emulate
from tests.support.process import ServerProcess, free_port

PASSWORD = "correct horse battery staple"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8cfc0f01f"
    "00050001ff9ae3ab5a0000000049454e44ae426082"
)


class Site:
    """A server, with an administrator and a user."""

    def __init__(self, process: ServerProcess) -> None:
        self.process = process
        self.http = httpx.Client(base_url=process.url, timeout=30)
        self.alice = self.register("alice")
        self.register("admin")

    def register(self, name: str) -> dict[str, str]:
        body = {"username": name, "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
        answer = self.http.post("/_matrix/client/v3/register", json=body)
        return {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}

    def upload(self) -> str:
        headers = {**self.alice, "Content-Type": "image/png"}
        uri: str = self.http.post("/_matrix/media/v3/upload", content=PNG, headers=headers).json()[
            "content_uri"
        ]
        return uri

    def download(self, uri: str) -> int:
        path = f"/_matrix/client/v1/media/download/{uri.removeprefix('mxc://')}"
        return self.http.get(path, headers=self.alice).status_code


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    data = tmp_path_factory.mktemp("server")
    port = free_port()
    file = data / "palpo.toml"
    write_configuration(file, server_name="localhost", bind=f"127.0.0.1:{port}")
    text = file.read_text().replace("[[listeners]]", 'admins = ["@admin:localhost"]\n[[listeners]]', 1)
    file.write_text(f'{text}\n[backup]\nfolder = "{data / "backups"}"\n')
    # Cold: what starts itself anew is a command, and no fork.
    with ServerProcess(data, port=port, options=("--open-registration",), cold=True) as process:
        site = Site(process)
        yield site
        site.http.close()


@pytest.fixture(scope="module")
def driver(site: Site) -> Iterator[WebDriver]:
    """A browser in which the administrator is signed in."""
    with chromium() as driver:
        driver.get(f"{site.process.url}/_palpo/admin/")
        driver.find_element(By.NAME, "user").send_keys("admin")
        driver.find_element(By.NAME, "password").send_keys(PASSWORD, Keys.ENTER)
        assert driver.find_element(By.TAG_NAME, "h1").text == "Overview"
        yield driver


def follow(driver: WebDriver, name: str) -> None:
    """Open a page by its name in the navigation."""
    driver.find_element(By.CSS_SELECTOR, ".side").find_element(By.LINK_TEXT, name).click()
    assert driver.find_element(By.TAG_NAME, "h1").text == name


def said(driver: WebDriver) -> str:
    return driver.find_element(By.CSS_SELECTOR, "[role=status]").text


def search(driver: WebDriver, text: str) -> None:
    """Search a list, and wait for what is found: the list itself may have what is looked for too."""
    field = driver.find_element(By.ID, "search")
    field.send_keys(text, Keys.ENTER)
    WebDriverWait(driver, WAIT_S).until(staleness_of(field))


def press(driver: WebDriver, name: str) -> None:
    """Press a button, and wait until its page is gone."""
    button = driver.find_element(By.XPATH, f"//main//button[text()='{name}']")
    button.click()
    WebDriverWait(driver, WAIT_S).until(staleness_of(button))


def ask(driver: WebDriver, name: str) -> None:
    """Have something done that is asked about first."""
    summary = driver.find_element(By.XPATH, f"//summary[text()='{name}']")
    summary.click()
    summary.find_element(By.XPATH, "..//button").click()
    WebDriverWait(driver, WAIT_S).until(staleness_of(summary))


def test_a_registration_token(site: Site, driver: WebDriver) -> None:
    follow(driver, "Registration tokens")
    driver.find_element(By.ID, "name").send_keys("party")
    driver.find_element(By.ID, "uses").send_keys("3", Keys.ENTER)
    assert said(driver) == "The token is party"
    path = "/_matrix/client/v1/register/m.login.registration_token/validity?token=party"
    assert site.http.get(path).json() == {"valid": True}


def test_a_picture_is_quarantined(site: Site, driver: WebDriver) -> None:
    uri = site.upload()
    follow(driver, "Media")
    driver.find_element(By.ID, "uri").send_keys(uri, Keys.ENTER)
    picture = driver.find_element(By.CSS_SELECTOR, "img.preview")
    assert driver.execute_script("return arguments[0].naturalWidth", picture) == 1
    assert site.download(uri) == 200
    ask(driver, "Withhold")
    assert said(driver) == "It is withheld from everybody"
    assert site.download(uri) == 404
    follow(driver, "Audit log")
    assert uri in driver.find_element(By.TAG_NAME, "table").text


def test_a_user_is_found_locked_and_unlocked(site: Site, driver: WebDriver) -> None:
    follow(driver, "Users")
    search(driver, "ali")
    driver.find_element(By.LINK_TEXT, "@alice:localhost").click()
    for verb, status in (("Lock", 401), ("Unlock", 200)):
        ask(driver, verb)
        answer = site.http.get("/_matrix/client/v3/account/whoami", headers=site.alice)
        assert answer.status_code == status


def test_a_room_is_deleted(site: Site, driver: WebDriver) -> None:
    body = {"name": "Chickens", "preset": "public_chat"}
    answer = site.http.post("/_matrix/client/v3/createRoom", json=body, headers=site.alice)
    room_id = answer.json()["room_id"]
    follow(driver, "Rooms")
    driver.find_element(By.LINK_TEXT, "Chickens").click()
    ask(driver, "Delete")
    assert said(driver) == "The room is being deleted"
    driver.find_element(By.XPATH, "//span[text()='complete']")  # The page shows itself anew until it is.
    answer = site.http.get("/_matrix/client/v3/joined_rooms", headers=site.alice)
    assert room_id not in answer.json()["joined_rooms"]


def test_a_setting_is_changed(site: Site, driver: WebDriver) -> None:
    follow(driver, "Configuration")
    search(driver, "rooms.default_version")
    driver.find_element(By.XPATH, "//summary[text()='Change']").click()
    field = driver.find_element(By.ID, "value-rooms.default_version")
    field.clear()
    field.send_keys('"10"', Keys.ENTER)
    assert said(driver) == "rooms.default_version is in force"
    capabilities = site.http.get("/_matrix/client/v3/capabilities", headers=site.alice).json()["capabilities"]
    assert capabilities["m.room_versions"]["default"] == "10"


def test_a_listener_that_cannot_be_had_is_refused(site: Site, driver: WebDriver) -> None:
    """With it, a restart would be the end of the server."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        follow(driver, "Configuration")
        search(driver, "listeners")
        driver.find_element(By.XPATH, "//summary[text()='Change']").click()
        field = driver.find_element(By.ID, "value-listeners")
        field.clear()
        field.send_keys(f'[{{bind = "{bind}"}}]', Keys.ENTER)
        assert said(driver) == f"listeners: {bind}: Address already in use"


@pytest.mark.parametrize("width", [None, 390])
@pytest.mark.parametrize(
    "path", ["/", "/check-up", "/media", "/reports", "/registration-tokens", "/servers", "/audit-log"]
)
def test_pages_fit(site: Site, driver: WebDriver, path: str, width: int | None) -> None:
    """Nothing sticks out of the page, in any width; tables scroll by themselves."""
    emulate(driver, width=width)
    driver.get(f"{site.process.url}/_palpo/admin{path}")
    script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert driver.execute_script(script) <= 0
    emulate(driver)


def test_light_and_dark(site: Site, driver: WebDriver) -> None:
    script = "return getComputedStyle(document.body).backgroundColor"
    colours = []
    for dark in (False, True):
        emulate(driver, dark=dark)
        driver.get(f"{site.process.url}/_palpo/admin/")
        colours.append(driver.execute_script(script))
    emulate(driver)
    assert colours == ["rgb(243, 244, 247)", "rgb(18, 20, 23)"]


def test_the_browser_has_nothing_to_complain_of(driver: WebDriver) -> None:
    """No part of a page is refused by the page's own policy; that there is no favicon.ico is no fault."""
    found = [line for line in driver.get_log("browser") if line["level"] == "SEVERE"]
    assert [line for line in found if "favicon.ico" not in line["message"]] == []


def test_a_backup_is_put_back(site: Site, driver: WebDriver) -> None:
    """What has been changed since is as it was, and can be had back in the same way."""
    before = site.http.get("/_matrix/client/v3/joined_rooms", headers=site.alice).json()
    follow(driver, "Backups")
    press(driver, "Make a backup now")
    driver.find_element(By.XPATH, "//span[text()='complete']")
    site.http.post("/_matrix/client/v3/createRoom", json={}, headers=site.alice).raise_for_status()
    follow(driver, "Backups")
    press(driver, "Verify")
    driver.find_element(By.XPATH, "//span[text()='complete']")
    follow(driver, "Backups")
    ask(driver, "Put back")
    press(driver, "Restart now")
    # The page waits for the server.
    driver.find_element(By.XPATH, "//p[contains(text(), 'was put back at')]")
    assert site.http.get("/_matrix/client/v3/joined_rooms", headers=site.alice).json() == before
    assert len(driver.find_elements(By.XPATH, "//summary[text()='Put back']")) == 2
    follow(driver, "Audit log")
    assert "restore" in driver.find_element(By.TAG_NAME, "table").text


def test_signing_out(site: Site, driver: WebDriver) -> None:
    driver.get(f"{site.process.url}/_palpo/admin/")
    driver.find_element(By.XPATH, "//header//button[text()='Sign out']").click()
    assert driver.find_element(By.NAME, "password").is_displayed()
    driver.get(f"{site.process.url}/_palpo/admin/")
    assert driver.find_element(By.NAME, "password").is_displayed()
