// Which credentials the AWS SDK for JavaScript v3 picks: for each line, which is an environment (NAME=VALUE, separated by
// U+001F), a line with the outcome, the identifier of the keys and the error, separated by tabs.
const { createInterface } = require("node:readline");
const { fromNodeProviderChain } = require("@aws-sdk/credential-providers");

async function pick() {
    try {
        const { accessKeyId } = await fromNodeProviderChain()();
        return ["picked", accessKeyId.replace(/\s+/g, " "), ""];
    } catch (error) {
        const isEnd = error.message.startsWith("Could not load credentials from any providers");
        return [isEnd ? "nothing" : "failed", "", `${error.name}: ${error.message}`.replace(/\s+/g, " ")];
    }
}

async function main() {
    for await (const line of createInterface({ input: process.stdin })) {
        Object.keys(process.env).forEach((name) => delete process.env[name]);
        for (const assignment of line.split("\x1f")) {
            const at = assignment.indexOf("=");
            process.env[assignment.slice(0, at)] = assignment.slice(at + 1);
        }
        console.log((await pick()).join("\t"));
    }
}

main();
