// Reads with ioredis, with default settings, what a file says is there; prints what differs.
const fs = require("node:fs");
const Redis = require("ioredis");

const [port, path] = process.argv.slice(2);
const expected = JSON.parse(fs.readFileSync(path, "utf8"));
const client = new (Redis.default ?? Redis)({ host: "127.0.0.1", port: Number(port) });
const wrong = [];
let checked = 0;

const sorted = (values) => JSON.stringify([...values].sort());
const fields = (value) => sorted(Object.entries(value).map((entry) => JSON.stringify(entry)));

async function check(kind, command, shape) {
  const items = Object.entries(expected[kind]);
  for (let start = 0; start < items.length; start += 200) {
    const some = items.slice(start, start + 200);
    const pipeline = client.pipeline();
    for (const [key] of some) pipeline[command](key);
    const replies = await pipeline.exec();
    replies.forEach(([error, found], index) => {
      const [key, value] = some[index];
      checked += 1;
      if (error || shape(found) !== shape(value)) wrong.push(`${key}: ${error ?? JSON.stringify(found)}`);
    });
    const upto = start + some.length;
    if (start % 2000 === 0 || upto === items.length) console.error(`ioredis: ${kind} ${upto} of ${items.length}`);
  }
}

async function main() {
  await check("hashes", "hgetall", fields);
  await check("sets", "smembers", sorted);
  await check("counters", "get", String);
  for (const [key, members] of Object.entries(expected.sorted)) {
    const names = Object.keys(members);
    const scores = await client.zmscore(key, ...names);
    checked += 1;
    if (names.some((name, index) => Number(scores[index]) !== members[name])) wrong.push(`${key}: other scores`);
    if ((await client.zcard(key)) !== names.length) wrong.push(`${key}: other members`);
  }
  console.log(JSON.stringify({ checked, wrong: wrong.slice(0, 20) }));
  await client.quit();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
