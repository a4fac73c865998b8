-- Health of a TiktokChannel for Argo CD, in place of tiktokchannel.lua, where waves or hooks come after the one with channels: Argo CD goes past a
-- wave when everything in it is Healthy. A channel that waits for a person is, with a message that says so. One whose authorization is lost, or whose
-- spec cannot work, is Degraded, suspended or not.
local health = {status = "Progressing", message = "The operator has not looked at the channel yet"}
if obj.status == nil or obj.status.conditions == nil then
  return health
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  health.message = "The operator has not looked at the newest spec yet"
  return health
end
local conditions = {}
for _, condition in ipairs(obj.status.conditions) do
  conditions[condition.type] = condition
end
local function is(kind)
  return conditions[kind] ~= nil and conditions[kind].status == "True"
end
local ready = conditions["Ready"]
if ready == nil then
  return health
end
health.message = ready.message
if is("ReauthorizationRequired") then
  return {status = "Degraded", message = conditions["ReauthorizationRequired"].message}
end
if is("Stalled") then
  return {status = "Degraded", message = conditions["Stalled"].message}
end
local person = {Suspended = true, AwaitingAuthorization = true, ImportSecretNotFound = true}
if is("Ready") or person[ready.reason] then
  health.status = "Healthy"
end
return health
