// The shop's page: lists the orders that the orders service keeps, and sends it new ones.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";

const ORDERS = process.env.ORDERS_URL ?? "http://localhost:8087";
const NAME = process.env.SHOP_NAME ?? "The corner shop";
const PORT = Number(process.env.PORT ?? 8080);

const server = createServer(async (request, response) => {
  const route = `${request.method} ${request.url}`;
  try {
    if (route === "GET /healthz") reply(response, 200, "text/plain", "ok\n");
    else if (route === "GET /") reply(response, 200, "text/html", await page(await orders()));
    else if (route === "POST /") await order(request, response);
    else reply(response, 404, "text/plain", "There is nothing here.\n");
  } catch (error) {
    console.error(`${route}: ${error.cause?.code ?? error.message}`);
    reply(response, 503, "text/plain", "The order book cannot be read right now. Please try again in a moment.\n");
  }
});

async function orders() {
  const answer = await fetch(`${ORDERS}/orders`, { signal: AbortSignal.timeout(2000) });
  if (!answer.ok) throw new Error(`orders answered ${answer.status}`);
  return answer.json();
}

async function order(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const item = new URLSearchParams(Buffer.concat(chunks).toString()).get("item") ?? "";
  const answer = await fetch(`${ORDERS}/orders`, {
    method: "POST",
    body: JSON.stringify({ item }),
    signal: AbortSignal.timeout(2000),
  });
  if (answer.status >= 500) throw new Error(`orders answered ${answer.status}`);
  if (!answer.ok) return reply(response, 400, "text/plain", "Please say what you want.\n");
  // back to the page by GET, so reloading it does not order again
  response.writeHead(303, { location: "/" }).end();
}

// The template is read anew each time: an edited one shows at the next request.
async function page(list) {
  const template = await readFile(new URL("index.html", import.meta.url), "utf8");
  const rows = list.map(({ number, item }) => `<li value="${number}">${escaped(item)}</li>`).join("\n");
  return template.replaceAll("{{name}}", () => escaped(NAME)).replace("{{orders}}", () => rows);
}

function escaped(text) {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function reply(response, status, type, text) {
  response.writeHead(status, { "content-type": `${type}; charset=utf-8` }).end(text);
}

// the first process of a container is not ended by SIGTERM unless it says how
process.on("SIGTERM", () => process.exit(0));
server.listen(PORT, () => console.log(`${NAME} is open on port ${PORT}, orders at ${ORDERS}`));
