// What the page tests share: one Chromium, started with the flags that the
// tests need, and a way to say what failed.
import { chromium } from "playwright-core";

const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** open starts Chromium and closes it after run, which gets the browser. */
export async function withBrowser(run) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: process.env.CHROMIUM_FLAGS ? process.env.CHROMIUM_FLAGS.split(/\s+/).filter(Boolean) : flags,
  });
  try {
    await run(browser);
  } finally {
    await browser.close();
  }
}

/** newPage opens a page that fails the test on any script error or refused resource. */
export async function newPage(browser, options = {}) {
  const page = await browser.newPage({ viewport: { width: 1100, height: 800 }, locale: "ko-KR", ...options });
  page.setDefaultTimeout(20_000);
  page.faults = [];
  page.on("pageerror", (e) => page.faults.push(`script error: ${e.message}`));
  page.on("console", (m) => { if (m.type() === "error" && !/Failed to load resource/.test(m.text())) page.faults.push(`console: ${m.text()}`); });
  page.on("dialog", (d) => { page.faults.push(`dialog: ${d.message()}`); d.dismiss(); });
  return page;
}

export function check(condition, message) {
  if (!condition) throw new Error(message);
}

/** picture saves a screenshot when SCREENSHOTS names a folder. */
export async function picture(page, name) {
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png` });
}
