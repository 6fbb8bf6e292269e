// node chat.mjs URL: looks at the simulator's chat page and presses a card's
// button, as an employee would. The Go test that starts it has posted a
// card to haneul@acme.example whose text carries hostile markup, and answers each press
// with a text message.
import { check, newPage, picture, withBrowser } from "./browser.mjs";

const base = process.argv[2];

async function desktop(browser) {
  const page = await newPage(browser);
  await page.goto(`${base}/chat?user=haneul@acme.example`);
  const card = page.locator(".card").first();
  await card.waitFor();
  check((await card.locator(".text").textContent()).includes("<img src=x onerror=alert(1)>"), "the caller's name is not shown as it is");
  check(await page.locator(".card img, .card script").count() === 0, "the caller's name became markup");
  const labels = await card.locator(".actions > *").allTextContents();
  check(labels.join("|") === "내 모바일로 당겨 받기|M2C 발신 하기|DIPCAST WEB", `buttons are ${labels.join("|")}`);
  const link = card.getByRole("link", { name: "DIPCAST WEB" });
  check(await link.getAttribute("href") === "https://acme.pbx.example.com/calls/1", "the link leads elsewhere");
  check((await link.getAttribute("rel")).includes("noopener"), "the link gives away the page");
  await picture(page, "chat-desktop-before");

  await card.getByRole("button", { name: "내 모바일로 당겨 받기" }).click();
  await page.locator(".mine .bubble", { hasText: "내 모바일로 당겨 받기" }).waitFor();
  await page.locator(".bot .bubble", { hasText: "pressed v1.mobile" }).waitFor();

  await page.getByRole("textbox").fill("안녕하세요 <b>");
  await page.keyboard.press("Enter");
  await page.locator(".mine .bubble", { hasText: "안녕하세요 <b>" }).waitFor();
  await page.locator(".bot .bubble", { hasText: "said 안녕하세요 <b>" }).waitFor();

  await page.getByRole("button", { name: "English" }).click();
  await page.locator(".card .text", { hasText: "External call" }).waitFor();
  await page.getByRole("button", { name: "To my mobile" }).click();
  await page.locator(".mine .bubble", { hasText: "To my mobile" }).waitFor();
  check(await page.locator("html").getAttribute("lang") === "en", "the page's language is not English");
  await picture(page, "chat-desktop-after");

  // Somebody else's message counts as unread until their chat is opened.
  await page.locator(".people .unread").waitFor();
  await page.locator("#people").getByRole("button", { name: "이바다" }).click();
  await page.locator(".bot .bubble", { hasText: "for bada" }).first().waitFor();
  check(await page.locator(".people .unread").count() === 0, "the chat was opened and is still unread");
  check(page.faults.length === 0, page.faults.join("; "));
  await page.close();
}

async function phone(browser) {
  const page = await newPage(browser, { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 });
  await page.goto(`${base}/chat?user=haneul@acme.example`);
  await page.locator(".card").first().waitFor();
  const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  check(wider <= 0, `the page is ${wider} pixels wider than the phone`);
  const small = await page.evaluate(() => [...document.querySelectorAll("button, a, select, input")]
    .filter((e) => e.offsetParent && e.getBoundingClientRect().height < 34).map((e) => e.textContent));
  check(small.length === 0, `too small for a finger: ${small.join("|")}`);
  await picture(page, "chat-phone");
  await page.locator("#person").selectOption({ label: "이바다" });
  await page.locator(".bot .bubble", { hasText: "for bada" }).first().waitFor();
  check(page.faults.length === 0, page.faults.join("; "));
  await page.close();
}

async function broken(browser) {
  const page = await newPage(browser);
  await page.goto(`${base}/chat?user=sol@acme.example`);
  await page.locator(".empty").waitFor();
  await page.getByRole("textbox").fill("nobody answers");
  await page.getByRole("button", { name: "보내기" }).click();
  await page.getByRole("status").filter({ hasText: "응답하지 않았습니다" }).waitFor();
  await picture(page, "chat-empty");
  check(page.faults.length === 0, page.faults.join("; "));
  await page.close();
}

async function signIn(browser) {
  const page = await newPage(browser);
  const query = new URLSearchParams({ client_id: "demo-client", redirect_uri: `${base}/chat`, response_type: "code", scope: "openid", state: "s1" });
  await page.goto(`${base}/oauth2/v2.0/authorize?${query}`);
  await picture(page, "signin");
  const back = page.waitForRequest(/\/chat\?code=[^&]+&state=s1$/);
  await page.getByRole("button", { name: "김하늘" }).click();
  await back;
  check(page.faults.length === 0, page.faults.join("; "));
  await page.close();
}

await withBrowser(async (browser) => {
  await desktop(browser);
  await phone(browser);
  await broken(browser);
  await signIn(browser);
});
console.log("chat page: ok");
