// Answers cases (JSON, one a line, from standard input) with what @cloud-copilot/iam-simulate decides, a line each.
// The folder with its node_modules is the first argument. Nothing of the package is part of Dryport; it runs apart, to be
// compared with. Its core is called, since its entries drop keys that AWS does not list for an action, or session policies.
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const folder = `${process.argv[2]}/node_modules/@cloud-copilot`
const require = createRequire(import.meta.url)
const core = `${folder}/iam-simulate/dist/cjs`
const { authorize } = require(`${core}/core_engine/CoreSimulatorEngine.js`)
const { AwsRequestImpl } = require(`${core}/request/request.js`)
const { RequestContextImpl } = require(`${core}/requestContext.js`)
const { DiscoveryContextKeyConstraints } = require(`${core}/context_keys/discoveryContextKeyConstraints.js`)
const { loadPolicy } = createRequire(`${core}/index.js`)('@cloud-copilot/iam-policy')

const load = (given) => given && loadPolicy(given.policy ?? given, { name: given.name ?? 'policy' })
const levels = (given) => given.map((l) => ({ orgIdentifier: l.orgIdentifier, policies: l.policies.map(load) }))
const everything = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: '*', Action: '*', Resource: '*' }] }

function decide({ request, ...given }) {
  const context = new RequestContextImpl(request.contextVariables)
  return authorize({
    request: new AwsRequestImpl(request.principal, request.resource, request.action, context),
    sessionPolicy: load(given.sessionPolicy),
    identityPolicies: given.identityPolicies.map(load),
    serviceControlPolicies: levels(given.serviceControlPolicies),
    resourceControlPolicies: [{ orgIdentifier: 'o', policies: [load(everything)] }],
    resourcePolicy: load(given.resourcePolicy),
    permissionBoundaries: given.permissionBoundaryPolicies?.map(load),
    vpcEndpointPolicies: undefined,
    simulationParameters: {
      simulationMode: 'Strict',
      discoveryContextKeyConstraints: new DiscoveryContextKeyConstraints([])
    },
    serviceSettings: { s3: {} }
  }).result
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer
  try {
    answer = decide(JSON.parse(line))
  } catch (error) {
    answer = `error: ${error.message}`
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
