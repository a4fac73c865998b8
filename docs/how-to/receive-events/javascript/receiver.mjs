// Receives the events of a TikTok channel: checks that they come from the operator, and keeps each of them once.
import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import { mkdirSync } from "node:fs";
import { link, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";

const tolerance = 300; // seconds
const maxBody = 4 << 20;
const inbox = process.env.INBOX || "inbox"; // each event is a file in it, named by its id

// signingKey reads whsec_ and base64, or a text of at least 24 bytes.
function signingKey(secret) {
  secret = secret.trim();
  const key = secret.startsWith("whsec_") ? Buffer.from(secret.slice("whsec_".length), "base64") : Buffer.from(secret);
  if (key.length < 24) {
    console.error("WEBHOOK_SECRET is missing or too short");
    process.exit(1);
  }
  return key;
}

const key = signingKey(process.env.WEBHOOK_SECRET || "");

// verify says what is wrong with a signature of Standard Webhooks; "" if it is good.
function verify(headers, body) {
  const id = headers["webhook-id"] || "";
  const timestamp = headers["webhook-timestamp"] || "";
  if (!/^[A-Za-z0-9_-]{1,128}$/.test(id)) {
    return "webhook-id is missing or malformed";
  }
  if (!/^[0-9]{1,12}$/.test(timestamp) || Math.abs(Date.now() / 1000 - Number(timestamp)) > tolerance) {
    return "webhook-timestamp is missing, or more than five minutes off";
  }
  const want = Buffer.from("v1," + createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest("base64"));
  for (const signature of (headers["webhook-signature"] || "").split(" ")) { // two while the secret is changed
    const got = Buffer.from(signature);
    if (got.length === want.length && timingSafeEqual(got, want)) {
      return "";
    }
  }
  return "no signature matches";
}

// keep says whether the event came for the first time.
async function keep(id, event) {
  const partial = join(inbox, ".partial-" + randomUUID());
  try {
    await writeFile(partial, JSON.stringify(event), { flag: "wx", mode: 0o600 });
    await link(partial, join(inbox, id + ".json")); // of two at the same time, one succeeds
    return true;
  } catch (error) {
    if (error.code === "EEXIST") {
      return false;
    }
    throw error;
  } finally {
    await rm(partial, { force: true });
  }
}

// receive returns 2xx once the event is kept, 4xx to what must not come again, and 5xx to what must.
async function receive(request) {
  if (request.method !== "POST") {
    return [405, "POST only"];
  }
  if (!(Number(request.headers["content-length"]) <= maxBody)) {
    return [413, "the body has no length, or is too large"];
  }
  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  const problem = verify(request.headers, body);
  if (problem) {
    return [401, problem];
  }
  const id = request.headers["webhook-id"]; // it is signed, and the same as ce-id
  const event = { id, type: request.headers["ce-type"], subject: request.headers["ce-subject"] };
  try {
    event.data = JSON.parse(body);
  } catch {
    return [400, "the body is not JSON"];
  }
  if (await keep(id, event)) {
    console.log("received", event.type, id); // the work of your service begins here
  }
  return [204, ""];
}

mkdirSync(inbox, { recursive: true, mode: 0o700 });
const address = process.env.ADDRESS || ":8080";
const server = createServer((request, response) => {
  receive(request)
    .catch((error) => {
      console.error(error.message);
      return [503, "the event cannot be kept now"];
    })
    .then(([status, text]) => response.writeHead(status, { "Content-Type": "text/plain" }).end(text));
});
server.listen(Number(address.slice(address.lastIndexOf(":") + 1)), address.slice(0, address.lastIndexOf(":")) || undefined);
