// Plays the steps of steps.js in turn; prints one line of JSON for each and one of what was met on the way.
//
//   node main.js BASE_URL REGISTRATION_TOKEN

import { met } from "./device.js";
import { steps, devices } from "./steps.js";

const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const shared = {};
let failed = false;

for (const [step, play] of Object.entries(steps)) {
    const began = performance.now();
    let error = null;
    try {
        await play(shared);
    } catch (thrown) {
        error = String(thrown?.stack ?? thrown);
        failed = true;
    }
    print({ step, error, ms: Math.round(performance.now() - began) });
}
devices.forEach((device) => device.stop());
print(Object.fromEntries(Object.entries(met).map(([name, found]) => [name, [...found].sort()])));
process.exit(failed ? 1 : 0);
