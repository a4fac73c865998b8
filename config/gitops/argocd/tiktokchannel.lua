-- Health of a TiktokChannel for Argo CD. A channel that nobody has authorized yet waits for a person: Suspended, which neither fails a sync nor
-- flaps. One whose authorization is lost, or whose spec cannot work, is Degraded.
local health = {status = "Progressing", message = "The operator has not looked at the channel yet"}
if obj.spec ~= nil and obj.spec.suspend then
  return {status = "Suspended", message = "The channel is suspended"}
end
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
if is("Ready") then
  health.status = "Healthy"
elseif ready.reason == "AwaitingAuthorization" then
  health.status = "Suspended"
end
return health
