// Walks the console as people do and fails with a sentence. Driven by
// pbx/web's TestBrowser with one JSON argument: base, chromium, shots (a
// folder for pictures, empty = none).
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const { base, chromium: executablePath, shots } = JSON.parse(process.argv[2])
const browser = await chromium.launch({
  executablePath,
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-proxy-server'],
})

// context is one person's browser; every script error, refused resource or
// broken policy is a failure.
async function context(options) {
  const c = await browser.newContext(options)
  c.setDefaultTimeout(20_000)
  const page = await c.newPage()
  page.faults = []
  page.on('pageerror', e => page.faults.push(`script: ${e}`))
  page.on('console', m => { if (m.type() === 'error') page.faults.push(`console: ${m.text()}`) })
  return page
}

async function shot(page, name) {
  if (shots) await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true })
}

async function signIn(page, path, email) {
  await page.goto(base + path)
  await page.locator('a.primary').click()
  await page.locator('button', { hasText: email }).click()
  await page.waitForURL(u => u.toString().startsWith(base) && !u.pathname.startsWith('/sign-in'))
}

async function fits(page, name) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  assert.ok(wide <= 0, `${name} is ${wide}px wider than the screen`)
}

try {
  // An employee, Korean, from a card's link to the call.
  const kim = await context({ locale: 'ko-KR', viewport: { width: 1100, height: 800 } })
  await kim.goto(base + '/calls/call-pulled')
  assert.match(kim.url(), /\/sign-in\?next=/, 'without a session the call asks to sign in')
  assert.equal(await kim.locator('h1').innerText(), '로그인')
  await shot(kim, 'sign-in-ko')
  await signIn(kim, '/calls/call-pulled', 'haneul@acme.example')
  assert.equal(new URL(kim.url()).pathname, '/calls/call-pulled', 'the sign-in leads back to the call')
  assert.match(await kim.locator('.pulled-line').innerText(), /101 김하늘 휴대폰으로 당겨 받음/)
  assert.equal(await kim.locator('.legs > li').count(), 3)
  await kim.locator('details summary').last().click()
  await shot(kim, 'detail-ko')

  await kim.goto(base + '/')
  assert.equal(await kim.locator('h1').innerText(), '통화 기록')
  const text = await kim.locator('main').innerText()
  assert.match(text, /010-1234-5678/)
  assert.match(text, /부재중/)
  assert.match(text, /진행 중인 통화/)
  assert.doesNotMatch(text, /010-9999-0102|남의 전화/, "another's call is not listed")
  assert.match(text, /<script>document\.title="owned"<\/script>/, 'a hostile name is shown as text')
  assert.doesNotMatch(await kim.title(), /owned/, 'a hostile name is not run')
  assert.equal(await kim.locator('main b').count(), 0, 'a hostile name is not markup')
  await shot(kim, 'history-ko')

  for (const path of ['/calls/call-of-102', '/calls/no-such-call']) {
    const r = await kim.goto(base + path)
    assert.equal(r.status(), 404, `${path} does not exist for this employee`)
  }
  await shot(kim, 'not-found-ko')
  await kim.goto(base + '/?extension=102')
  assert.doesNotMatch(await kim.locator('main').innerText(), /남의 전화/, "asking for another's extension shows nothing of it")
  await kim.goto(base + '/calls/call-live')
  assert.match(await kim.locator('.state').innerText(), /울리는 중/)
  await shot(kim, 'live-ko')

  // The filter, then the other language, then out.
  await kim.goto(base + '/')
  await kim.locator('select[name=disposition]').selectOption('missed')
  await kim.locator('button.primary').click()
  await kim.waitForURL(/disposition=missed/)
  assert.equal(await kim.locator('table.calls tbody tr').count(), 2)
  await kim.locator('a[hreflang=en]').click()
  await kim.waitForURL(/disposition=missed/)
  assert.equal(await kim.locator('h1').innerText(), 'Call history')
  assert.equal(await kim.locator('html').getAttribute('lang'), 'en')
  await shot(kim, 'history-en-filtered')
  await kim.locator('form[action="/sign-out"] button').click()
  await kim.locator('h1', { hasText: 'Signed out' }).waitFor()
  await kim.goto(base + '/')
  assert.match(kim.url(), /\/sign-in/, 'after signing out the history asks to sign in')
  assert.deepEqual(kim.faults.filter(f => !/404/.test(f)), [])

  // An administrator sees everybody's calls; English, dark.
  const admin = await context({ locale: 'en-US', colorScheme: 'dark', viewport: { width: 1280, height: 900 } })
  await signIn(admin, '/', 'admin@acme.example')
  assert.match(await admin.locator('main').innerText(), /010-9999-0102/)
  await shot(admin, 'history-en-admin-dark')
  await admin.goto(base + '/calls/call-of-102')
  assert.match(await admin.locator('main').innerText(), /Answered/)
  await shot(admin, 'detail-en-dark')
  assert.deepEqual(admin.faults, [])

  // Somebody without an extension is told what to ask for.
  const guest = await context({ locale: 'en-US', viewport: { width: 900, height: 700 } })
  await signIn(guest, '/', 'guest@acme.example')
  assert.match(await guest.locator('main').innerText(), /guest@acme\.example/)
  assert.match(await guest.locator('main').innerText(), /worksUser/)
  await shot(guest, 'unknown-en')

  // A phone.
  const phone = await context({ locale: 'ko-KR', viewport: { width: 360, height: 740 }, deviceScaleFactor: 2 })
  await signIn(phone, '/', 'haneul@acme.example')
  await fits(phone, 'the history')
  await shot(phone, 'history-phone')
  await phone.goto(base + '/calls/call-pulled')
  await fits(phone, "a call's page")
  await shot(phone, 'detail-phone')
  assert.deepEqual(phone.faults, [])
  process.stdout.write('the console was walked through\n')
} finally {
  await browser.close()
}
