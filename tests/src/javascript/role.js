// Looks up the credentials of the instance role as each client of the AWS SDK for JavaScript v3 does before it signs, once for
// each line that this program is sent. The answer is "used", or the name of the error.
const { createInterface } = require("node:readline");
const { fromNodeProviderChain } = require("@aws-sdk/credential-providers");
const { STSClient } = require("@aws-sdk/nested-clients/sts");

async function main() {
    const { config } = new STSClient({ region: "eu-central-1", credentials: fromNodeProviderChain() });
    for await (const _ of createInterface({ input: process.stdin })) {
        let answer;
        try {
            await config.credentials();
            answer = "used";
        } catch (error) {
            console.error(error);
            answer = error.name;
        }
        // It refreshes in the background as well: time goes on when that has ended.
        while (process.getActiveResourcesInfo().some((name) => /TCP|GetAddrInfo/.test(name))) {
            await new Promise(setImmediate);
        }
        console.log(answer);
    }
}

main();
