// A browser as a phone (JsSIP): it registers over WebSocket, calls 102, and is
// called; it says what its fake microphone says and listens for a tone.
//
//   node phone.mjs WSS_URL PAGE_URL DOMAIN PASSWORD HZ
//
// It hangs up its own call when a line comes in, since the other side listens too.
import { createInterface } from "node:readline";
import { build } from "esbuild";
import { check, newPage, withBrowser } from "./browser.mjs";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const [socket, home, domain, password, hz] = process.argv.slice(2);

const { outputFiles } = await build({
  stdin: { contents: 'import JsSIP from "jssip"; window.JsSIP = JsSIP;', resolveDir: import.meta.dirname },
  bundle: true, write: false, format: "iife", logLevel: "error",
});

await withBrowser(async (browser) => {
  const page = await newPage(browser, { ignoreHTTPSErrors: true });
  await page.route(`${home}**`, (r) => r.fulfill({ contentType: "text/html", body: "<audio id=far autoplay></audio>" }));
  await page.goto(home);
  await page.addScriptTag({ content: outputFiles[0].text });
  await page.evaluate(begin, { socket, domain, password });
  await page.evaluate(() => window.registered);
  console.log("registered");
  await page.evaluate(call, { domain });
  check(await page.evaluate(hears, Number(hz)), "who was called is not heard");
  console.log("heard");
  await lines.next();
  await page.evaluate(() => window.session.terminate());
  const called = page.evaluate(() => window.called);
  console.log("call me");
  await called;
  check(await page.evaluate(hears, Number(hz)), "the caller is not heard");
  console.log("heard");
  await page.evaluate(() => window.over);
  check(page.faults.length === 0, page.faults.join("\n"));
});
process.exit(0); // whether or not more is said to it

// begin registers; it runs in the page, as all below.
function begin({ socket, domain, password }) {
  const audio = { mediaConstraints: { audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false }, video: false } };
  const ua = new JsSIP.UA({ sockets: [new JsSIP.WebSocketInterface(socket)], uri: `sip:101@${domain}`, password, register: true });
  window.ua = ua;
  window.audio = audio;
  const listen = (session) => {
    window.session = session;
    const play = (connection) => connection.addEventListener("track", (e) => {
      document.getElementById("far").srcObject = e.streams[0];
      const context = new AudioContext();
      window.analyser = context.createAnalyser();
      window.analyser.fftSize = 4096;
      context.createMediaStreamSource(e.streams[0]).connect(window.analyser);
    });
    if (session.connection) play(session.connection);
    else session.on("peerconnection", (e) => play(e.peerconnection));
  };
  window.listen = listen;
  window.registered = new Promise((done, failed) => {
    ua.on("registered", done);
    ua.on("registrationFailed", (e) => failed(new Error(`not registered: ${e.cause}`)));
  });
  window.called = new Promise((done, failed) => {
    ua.on("newRTCSession", ({ session }) => {
      if (session.direction !== "incoming") return;
      listen(session);
      session.on("confirmed", done);
      session.on("failed", (e) => failed(new Error(`the incoming call failed: ${e.cause}`)));
      window.over = new Promise((end) => { session.on("ended", end); });
      session.answer(audio);
    });
  });
  ua.start();
}

function call({ domain }) {
  return new Promise((done, failed) => {
    const session = window.ua.call(`sip:102@${domain}`, {
      ...window.audio,
      eventHandlers: { confirmed: done, failed: (e) => failed(new Error(`the call failed: ${e.cause} ${e.message?.status_code ?? ""}`)) },
    });
    window.listen(session);
  });
}

// hears reports whether the strongest frequency becomes that one, within 15 s.
async function hears(hz) {
  const until = performance.now() + 15000;
  while (performance.now() < until) {
    await new Promise((r) => { setTimeout(r, 100); });
    if (!window.analyser) continue;
    const levels = new Uint8Array(window.analyser.frequencyBinCount);
    window.analyser.getByteFrequencyData(levels);
    const top = levels.indexOf(Math.max(...levels));
    if (levels[top] > 100 && Math.abs(top * window.analyser.context.sampleRate / window.analyser.fftSize - hz) < 30) return true;
  }
  return false;
}
