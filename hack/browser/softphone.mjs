// A browser phone: JsSIP in Chromium registers over secure WebSocket, calls and
// says on standard output what it hears. The Go test is on the other side.
import { buildSync } from "esbuild";
import { chromium } from "playwright-core";
import { check, newPage } from "./browser.mjs";

const { wss, domain, user, password, call, wav, hertz } = JSON.parse(process.argv[2]);
const origin = `https://${domain}`;
const bundle = buildSync({
  stdin: { contents: 'import JsSIP from "jssip"; window.JsSIP = JsSIP;', resolveDir: import.meta.dirname },
  bundle: true, format: "iife", write: false,
}).outputFiles[0].text;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--ignore-certificate-errors",
    "--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets", // the page's name is a public one, the PBX is here
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", `--use-file-for-fake-audio-capture=${wav}`, "--autoplay-policy=no-user-gesture-required"],
});
try {
  const page = await newPage(browser, { ignoreHTTPSErrors: true });
  await page.route(`${origin}/**`, (r) => r.fulfill({ contentType: "text/html", body: "<html><body><audio autoplay></audio></body></html>" }));
  await page.goto(`${origin}/phone`);
  await page.addScriptTag({ content: bundle });
  await page.exposeFunction("heard", () => console.log("heard"));
  const end = await page.evaluate(talk, { wss, domain, user, password, call, hertz });
  check(end === "", end);
} finally {
  await browser.close();
}

// talk runs in the page. It returns what went wrong once the other side has hung
// up, "" for nothing.
async function talk({ wss, domain, user, password, call, hertz }) {
  const ua = new window.JsSIP.UA({ sockets: [new window.JsSIP.WebSocketInterface(wss)], uri: `sip:${user}@${domain}`, password, register: true });
  const registered = new Promise((ok, no) => {
    ua.on("registered", ok);
    ua.on("registrationFailed", (e) => no(new Error(`not registered: ${e.cause}`)));
  });
  ua.start();
  await registered;
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  return new Promise((done) => {
    const session = ua.call(`sip:${call}@${domain}`, { mediaConstraints: { audio, video: false } });
    session.on("failed", (e) => done(`the call failed: ${e.cause} ${e.message?.status_code ?? ""}`));
    session.on("ended", (e) => done(good === 20 ? "" : `the call ended before the tone was heard: ${e.cause}`));
    let good = 0;
    session.connection.addEventListener("track", (e) => {
      document.querySelector("audio").srcObject = e.streams[0];
      const context = new AudioContext({ sampleRate: 8000 });
      const analyser = new AnalyserNode(context, { fftSize: 1024 });
      context.createMediaStreamSource(e.streams[0]).connect(analyser);
      const spectrum = new Float32Array(analyser.frequencyBinCount);
      const look = setInterval(() => {
        analyser.getFloatFrequencyData(spectrum);
        const loudest = spectrum.indexOf(Math.max(...spectrum));
        const at = loudest * context.sampleRate / analyser.fftSize;
        good = Math.abs(at - hertz) < 20 && spectrum[loudest] > -60 ? good + 1 : 0;
        if (good === 20) { // a second of it
          clearInterval(look);
          window.heard();
        }
      }, 50);
    });
  });
}
