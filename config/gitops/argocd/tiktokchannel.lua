-- Health of a TiktokChannel for Argo CD. A channel that nobody has authorized yet waits for a person: Suspended. One whose authorization is lost,
-- or whose spec cannot work, is Degraded, suspended or not.
--
-- Argo CD does not go past a wave with something Suspended in it. For channels with waves or hooks after theirs there is tiktokchannel-waves.lua.
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
if is("Ready") then
  health.status = "Healthy"
elseif person[ready.reason] then
  health.status = "Suspended"
end
return health
