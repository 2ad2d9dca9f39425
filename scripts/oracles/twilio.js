// The Twilio SDK as the oracle: what it signs we accept, what it refuses we refuse, our TwiML says what its builder
// says, and a text and a call that we send are what it would send, field by field. `run` installs it; the one argument is our side, the example binary `oracle`.
"use strict";

const { spawn } = require("node:child_process");
const fs = require("node:fs");
const http = require("node:http");
const crypto = require("node:crypto");
const assert = require("node:assert");
const twilio = require("twilio");

const token = "12345";
const form = "application/x-www-form-urlencoded";

// The SDK's own verdict on a request, as its express middleware reaches it.
function verdict(request) {
  if (new URL(request.url).searchParams.has("bodySHA256")) {
    return twilio.validateRequestWithBody(token, request.signature, request.url, request.body);
  }
  return twilio.validateRequest(token, request.signature, request.url, parameters(request.body));
}

// Repeated names become arrays, as body parsers hand them to the SDK.
function parameters(body) {
  const found = {};
  for (const [name, value] of new URLSearchParams(body)) {
    found[name] = name in found ? [found[name], value].flat() : value;
  }
  return found;
}

function signedForm(url, body) {
  const signature = twilio.getExpectedTwilioSignature(token, url, parameters(body));
  return { url, content_type: form, signature, body };
}

function signedJson(base, body) {
  const hash = crypto.createHash("sha256").update(body).digest("hex");
  const url = `${base}?bodySHA256=${hash}`;
  return { url, content_type: "application/json", signature: twilio.getExpectedTwilioSignature(token, url, {}), body };
}

const urls = [
  "https://mycompany.com/myapp.php?foo=1&bar=2",
  "https://otp.example.com/receipts/atlas/AbC-_0",
  "https://otp.example.com:443/receipts/atlas/AbC-_0",
  "https://otp.example.com:8443/voice/kodama/0.1/AbC",
  "http://127.0.0.1:8080/voice/kodama/0.1/AbC?x=%E3%81%82",
  "http://localhost/receipts/atlas",
];
const bodies = [
  "CallSid=CA1234567890ABCDE&Caller=%2B14158675310&Digits=1234&From=%2B14158675310&To=%2B18005551212",
  "MessageSid=SM1&MessageStatus=delivered&To=%2B819012345678&Body=%E8%AA%8D%E8%A8%BC+%26+%3D",
  "CallSid=CA1&Digits=",
  "b=2&a=1&B=3&A=4&_=5&0=6",
  "MediaUrl=b&MediaUrl=a&MediaUrl=b",
  "",
];

const requests = [];
for (const url of urls) {
  for (const body of bodies) {
    const good = signedForm(url, body);
    requests.push(good);
    requests.push({ ...good, body: `${body}&Added=1` });
    requests.push({ ...good, url: `${url}${url.includes("?") ? "&" : "?"}added=1` });
    requests.push({ ...good, signature: twilio.getExpectedTwilioSignature("another", url, parameters(body)) });
    requests.push({ ...good, signature: "" });
  }
  if (!url.includes("?")) {
    const json = signedJson(url, '{"status":"delivered","to":"あ"}');
    requests.push(json);
    requests.push({ ...json, body: json.body.replace("delivered", "failed") });
  }
}
// Signed with the port that the scheme implies, received without it, and the other way round.
for (const [signed, received] of [
  ["https://a.example:443/x?y=1", "https://a.example/x?y=1"],
  ["https://a.example/x?y=1", "https://a.example:443/x?y=1"],
  ["http://a.example:80/x", "http://a.example/x"],
  ["https://a.example:8443/x", "https://a.example/x"],
  ["https://a.example/x", "https://a.example:8443/x"],
]) {
  requests.push({ ...signedForm(signed, bodies[0]), url: received });
}

const languages = { ja: "ja-JP", en: "en-US" };
const voices = { ja: "Polly.Mizuki", en: "Polly.Joanna" };
const speeches = [
  { locale: "ja", words: ["認証コードをお伝えします。7を押してください。"], pause_s: 2, listen_s: 8, next_url: "https://a.example/v?x=1&y=2" },
  { locale: "en", words: ["Press 7 & wait.", "It's \"<now>\"."], pause_s: 1, listen_s: 5, next_url: "https://a.example/v" },
  { locale: "ja", words: ["0", "4", "2", "1", "3", "7"], pause_s: 1, listen_s: null, next_url: "https://a.example/v" },
  { locale: "en", words: ["Goodbye."], pause_s: 1, listen_s: null, next_url: "https://a.example/v" },
];

function sdkTwiml(speech) {
  const response = new twilio.twiml.VoiceResponse();
  const listening = speech.listen_s !== null;
  const gather = { input: "dtmf", numDigits: 1, timeout: speech.listen_s, action: speech.next_url, method: "POST", actionOnEmptyResult: true };
  const parent = listening ? response.gather(gather) : response;
  for (const words of speech.words) {
    parent.say({ language: languages[speech.locale], voice: voices[speech.locale] }, words);
    parent.pause({ length: speech.pause_s });
  }
  response.hangup();
  return response.toString();
}

// XML as a list of tags with sorted attributes and of texts; refuses what is not well formed.
function meaning(xml) {
  const entities = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
  const plain = (raw) =>
    raw.replace(/&([^;\s]*);?/g, (_, name) => entities[name] ?? assert.fail(`a bare & in ${raw}`));
  const tokens = [];
  const open = [];
  const pattern = /<\?[^>]*\?>|<\/(\w+)>|<(\w+)((?:\s+\w+="[^"<]*")*)\s*(\/?)>|([^<]+)/gy;
  let at = 0;
  for (let match; at < xml.length && (match = pattern.exec(xml)); at = pattern.lastIndex) {
    const [, close, name, attributes, empty, text] = match;
    if (close) {
      assert.strictEqual(open.pop(), close);
      tokens.push(`/${close}`);
    } else if (name) {
      const pairs = [...attributes.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => `${key}=${plain(value)}`);
      tokens.push([name, ...pairs.sort()].join(" "));
      if (empty) tokens.push(`/${name}`);
      else open.push(name);
    } else if (text !== undefined) {
      tokens.push(`"${plain(text)}`);
    }
  }
  assert.strictEqual(at, xml.length, `not well formed from ${xml.slice(at, at + 40)}`);
  assert.deepStrictEqual(open, []);
  return tokens;
}

// What a request says, in the order of its fields' names.
function told(method, path, fields) {
  return { method, path, fields: fields.map(([name, value]) => [name, String(value)]).sort() };
}

// A listener that keeps what it is sent, and what our side says while it listens.
async function run() {
  const sent = [];
  const listener = http.createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const body = new URLSearchParams(Buffer.concat(chunks).toString());
      sent.push(told(request.method, request.url, [...body]));
      response.writeHead(500).end();
    });
  });
  await new Promise((ready) => listener.listen(0, "127.0.0.1", ready));
  const base_url = `http://127.0.0.1:${listener.address().port}`;
  const child = spawn(process.argv[2], { stdio: ["pipe", "pipe", "inherit"] });
  const output = [];
  child.stdout.on("data", (chunk) => output.push(chunk));
  child.stdin.end(JSON.stringify({ token, base_url, requests, speeches }));
  const status = await new Promise((over) => child.on("close", over));
  listener.close();
  assert.strictEqual(status, 0, "our side ended badly");
  return { sent, ours: JSON.parse(Buffer.concat(output).toString()) };
}

// Our fields handed to the SDK by the names of its options: it sends on what it knows, and drops or refuses the rest.
async function asTheSdkSendsIt({ path, fields }) {
  const account = path.split("/")[3];
  const kept = [];
  const httpClient = {
    request: async ({ method, uri, data }) => {
      const values = Object.entries(data).flatMap(([name, value]) => [value].flat().map((each) => [name, each]));
      kept.push(told(method.toUpperCase(), new URL(uri).pathname, values));
      return { statusCode: 201, body: {}, headers: {} };
    },
  };
  const client = twilio(account, token, { httpClient });
  const lists = ["StatusCallbackEvent"];
  const option = ([name, value]) => [name[0].toLowerCase() + name.slice(1), lists.includes(name) ? [value] : value];
  const options = Object.fromEntries(fields.map(option));
  await (path.endsWith("/Calls.json") ? client.calls.create(options) : client.messages.create(options));
  return kept[0];
}

// The builder takes any name for a voice; the SDK's types list those that the vendor has.
function voicesAreListed() {
  const types = require.resolve("twilio/lib/twiml/VoiceResponse").replace(/\.js$/, ".d.ts");
  const listed = fs.readFileSync(types, "utf8");
  for (const voice of Object.values(voices)) {
    assert.ok(listed.includes(`"${voice}"`), `the SDK lists no voice ${voice}`);
  }
}

async function main() {
  voicesAreListed();
  const { sent, ours } = await run();
  assert.deepStrictEqual(sent.map(({ path }) => path.split("/").pop()), ["Messages.json", "Calls.json"]);
  for (const request of sent) {
    assert.deepStrictEqual(request, await asTheSdkSendsIt(request));
  }
  compare(ours);
  const counts = `${requests.length} signed requests (${compare.held} authentic), ${speeches.length} TwiML documents`;
  console.log(`twilio: agreed on ${counts}, and on how a text and a call are sent`);
}

function compare(ours) {
  let held = 0;
  requests.forEach((request, index) => {
    const want = verdict(request);
    held += want ? 1 : 0;
    assert.strictEqual(ours.accepted[index], want, `the SDK says ${want}: ${JSON.stringify(request)}`);
  });
  assert.ok(held > 0 && held < requests.length, "cases of both kinds");
  speeches.forEach((speech, index) => {
    assert.deepStrictEqual(meaning(ours.twiml[index]), meaning(sdkTwiml(speech)));
  });
  compare.held = held;
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
