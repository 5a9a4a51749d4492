// A foreign OPC UA server for the tests. What it holds comes as JSON on the first line of its input,
// what it is to do on the following ones; each is answered by one line.
"use strict";

const readline = require("node:readline");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
const { MessageSecurityMode, SecurityPolicy } = require("node-opcua-secure-channel");
const { OPCUAServer } = require("node-opcua-server");
const { StatusCodes } = require("node-opcua-status-code");
const { DataType, Variant, VariantArrayType } = require("node-opcua-variant");

const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

function variant(kind, value) {
    const array = Array.isArray(value);
    const one = (v) => {
        if (kind === "Int64" || kind === "UInt64") {
            return [Math.floor(v / 2 ** 32), v >>> 0];
        }
        return kind === "DateTime" ? new Date(v * 1000) : v;
    };
    return new Variant({
        dataType: DataType[kind],
        arrayType: array ? VariantArrayType.Array : VariantArrayType.Scalar,
        value: array ? value.map(one) : one(value),
    });
}

async function main(lines) {
    const plan = JSON.parse((await lines.next()).value);
    const certificates = new OPCUACertificateManager({
        rootFolder: `${plan.folder}/pki`,
        automaticallyAcceptUnknownCertificate: true,
    });
    await certificates.initialize();
    const server = new OPCUAServer({
        port: plan.port,
        hostname: "127.0.0.1",
        resourcePath: "/plant",
        serverCertificateManager: certificates,
        certificateFile: plan.certificate,
        privateKeyFile: plan.key,
        allowAnonymous: !plan.password,
        securityModes: plan.secure
            ? [MessageSecurityMode.SignAndEncrypt]
            : [MessageSecurityMode.None],
        securityPolicies: plan.secure
            ? [SecurityPolicy.Basic256Sha256, SecurityPolicy.Aes256_Sha256_RsaPss]
            : [SecurityPolicy.None],
        userManager: { isValidUser: (name, password) => name === "ada" && password === plan.password },
        serverInfo: { applicationUri: plan.applicationUri },
        serverCapabilities: {
            maxSubscriptionsPerSession: 10,
            maxMonitoredItemsPerSubscription: plan.itemsPerSubscription ?? 100000,
            operationLimits: { maxMonitoredItemsPerCall: plan.itemsPerCall ?? 1000 },
        },
    });
    await server.initialize();
    const space = server.engine.addressSpace;
    const own = space.registerNamespace("http://plant.example/foreign");
    const modes = own.addEnumerationType({
        browseName: "Mode",
        enumeration: ["Off", "Manual", "Automatic"],
    });
    const nodes = {};
    for (const [name, [kind, value]] of Object.entries(plan.variables)) {
        nodes[name] = own.addVariable({
            organizedBy: space.rootFolder.objects,
            nodeId: `s=${name}`,
            browseName: name,
            dataType: kind === "Mode" ? modes : DataType[kind],
            valueRank: Array.isArray(value) ? 1 : -1,
            minimumSamplingInterval: 0,
            accessLevel: "CurrentRead | CurrentWrite",
            userAccessLevel: "CurrentRead | CurrentWrite",
        });
        nodes[name].kind = kind === "Mode" ? "Int32" : kind;
        nodes[name].setValueFromSource(variant(nodes[name].kind, value));
    }
    await server.start();
    say({ ready: true });
    for await (const line of lines) {
        const { name, value, status, time, values } = JSON.parse(line);
        const node = nodes[name];
        const when = time === undefined ? new Date() : new Date(time * 1000);
        for (const one of values ?? [value]) {
            node.setValueFromSource(
                variant(node.kind, one), StatusCodes[status ?? "Good"], when,
            );
        }
        say({ done: true });
    }
    await server.shutdown(0);
    process.exit(0);
}

main(readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]()).catch((error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
});
