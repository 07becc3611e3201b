// SPDX-License-Identifier: Apache-2.0

/// The parameters and schemas of the OpenAPI document, as members of a JSON object.
extension OpenAPIDocument {
    static let parameters = #"""
        "id":{"name":"id","in":"path","required":true,"schema":{"type":"string"},"description":"the id of a session"},\#
        "name":{"name":"name","in":"path","required":true,"schema":{"type":"string"},"description":"a name"},\#
        "limit":{"name":"limit","in":"query","schema":{"type":"integer","minimum":1},"description":"entries per page"},\#
        "cursor":{"name":"cursor","in":"query","schema":{"type":"string"},"description":"the cursor of the previous page"},\#
        "state":{"name":"state","in":"query","schema":{"enum":["attached","detached","live","ended","all"]},\#
        "description":"which sessions"},\#
        "sort":{"name":"sort","in":"query","schema":{"enum":["memory","queue","rtt","errors","age"]},\#
        "description":"order of live sessions, largest first"},\#
        "user":{"name":"user","in":"query","schema":{"type":"string"},"description":"only of this user"},\#
        "node":{"name":"node","in":"query","schema":{"type":"string"},"description":"the name of a node; without it all nodes in lists of sessions, \#
        otherwise the one that responds"},\#
        "tag":{"name":"tag","in":"query","schema":{"type":"string"},"description":"only with this tag"},\#
        "follow":{"name":"follow","in":"query","schema":{"enum":["true","false",""]},\#
        "description":"whether to send further lines"},\#
        "level":{"name":"level","in":"query","schema":{"enum":["trace","debug","info","notice","warning","error","critical"]},\#
        "description":"the least severe level"},\#
        "session_id":{"name":"session_id","in":"query","schema":{"type":"string"},\#
        "description":"only lines about this session"},\#
        "correlation_id":{"name":"correlation_id","in":"query","schema":{"type":"string"},\#
        "description":"only lines with this id"},\#
        "format":{"name":"format","in":"query","schema":{"enum":["json","csv","html"]},\#
        "description":"the format; overrides Accept"},\#
        "from":{"name":"from","in":"query","schema":{"type":"string"},"description":"RFC 3339 date or Unix milliseconds"},\#
        "to":{"name":"to","in":"query","schema":{"type":"string"},"description":"RFC 3339 date or Unix milliseconds"},\#
        "group":{"name":"group","in":"query","schema":{"type":"string"},"description":"columns to group by"},\#
        "Idempotency-Key":{"name":"Idempotency-Key","in":"header","schema":{"type":"string","pattern":"^[A-Za-z0-9._:-]{1,\#
        64}$"},"description":"remembered for 24 h"}
        """#

    static let schemas = #"""
        "Object":{"type":"object"},\#
        "Problem":{"type":"object","properties":{"type":{"type":"string"},"title":{"type":"string"},"status":{\#
        "type":"integer"},"detail":{"type":"string"},"code":{"type":"string"},"correlation_id":{"type":"string"},"problems":{\#
        "type":"array","items":{"type":"string"}}},"required":["type","title","status","detail","code","correlation_id"],\#
        "additionalProperties":false},\#
        "Health":{"type":"object","properties":{"status":{"type":"string"}},"required":["status"]},\#
        "Figure":{"type":"object","properties":{"current":{"type":"integer"},"peak":{"type":"integer"},"limit":{\#
        "type":"integer","description":"absent: no limit"}},"required":["current","peak"],"additionalProperties":false},\#
        "Endpoint":{"type":"object","properties":{"address":{"type":"string"},"breaker":{"enum":["closed","open",\#
        "half_open"]},"healthy":{"type":"boolean"},"outstanding":{"type":"integer"},"requests":{"type":"integer"},"failures":{\#
        "type":"integer"},"since":{"type":"integer","description":"Unix milliseconds"}},"required":["address","breaker",\#
        "healthy","outstanding","requests","failures"],"additionalProperties":false},\#
        "Upstream":{"type":"object","properties":{"name":{"type":"string"},"kind":{"type":"string"},"state":{"enum":["ready",\#
        "degraded","unavailable"]},"active":{"type":"integer"},"waiting":{"type":"integer"},"endpoints":{"type":"array",\#
        "items":{"$ref":"#/components/schemas/Endpoint"}},"completed":{"type":"integer"},"failed":{"type":"integer"},\#
        "cancelled":{"type":"integer"},"retries":{"type":"integer"},"hedges":{"type":"integer"},"shared":{"type":"integer"},\#
        "connections":{"type":"integer"},"permits":{"$ref":"#/components/schemas/Figure"},"queue":{\#
        "$ref":"#/components/schemas/Figure"}},"required":["name","kind","state","active","waiting","endpoints","completed",\#
        "failed","cancelled","retries","hedges","shared","connections"],"additionalProperties":false},\#
        "Upstreams":{"type":"object","properties":{"upstreams":{"type":"array","items":{\#
        "$ref":"#/components/schemas/Upstream"}}},"required":["upstreams"],"additionalProperties":false},\#
        "Gateway":{"type":"object","properties":{"started_at":{"type":"integer","description":"Unix milliseconds"},\#
        "uptime_ms":{"type":"integer"},"environment":{"type":"string"},"version":{"type":"string"},"commit":{"type":"string"},\#
        "state":{"enum":["running","draining"]},"connections":{"type":"object","additionalProperties":{"type":"integer"}},\#
        "sessions":{"type":"object","additionalProperties":{"type":"integer"}},"messages":{"type":"object",\#
        "additionalProperties":{"type":"integer"}},"bytes":{"type":"object","additionalProperties":{"type":"integer"}},\#
        "errors":{"type":"object","additionalProperties":{"type":"integer"}},"closes":{"type":"object",\#
        "additionalProperties":{"type":"integer"}},"reports":{"type":"object"},"log":{"type":"object","additionalProperties":{\#
        "type":"integer"}},"upstreams":{"type":"array","items":{"$ref":"#/components/schemas/Upstream"}}},\#
        "required":["started_at","uptime_ms","environment","version","commit","state","connections","sessions","messages",\#
        "bytes","errors","closes","reports","log","upstreams"],"additionalProperties":false},\#
        "Reload":{"type":"object","properties":{"changed":{"type":"array","items":{"type":"string"}},"needs_restart":{\#
        "type":"array","items":{"type":"string"}},"problems":{"type":"array","items":{"type":"string"}}},\#
        "required":["changed","needs_restart","problems"],"additionalProperties":false},\#
        "Drain":{"type":"object","properties":{"state":{"type":"string"},"deadline_ms":{"type":"integer"},"connections":{\#
        "type":"integer"}},"required":["state","deadline_ms","connections"],"additionalProperties":false},\#
        "LogLevelRequest":{"type":"object","properties":{"level":{"enum":["trace","debug","info","notice","warning","error",\#
        "critical"]},"for":{"type":"string","description":"1s to 24h; 10m if absent"}},"required":["level"],\#
        "additionalProperties":false},\#
        "LogLevel":{"type":"object","properties":{"level":{"type":"string"},"until":{"type":"integer",\#
        "description":"Unix milliseconds"},"configured":{"type":"string"}},"required":["level","until","configured"],\#
        "additionalProperties":false},\#
        "Certificates":{"type":"object","properties":{"certificates":{"type":"array","items":{"type":"object","properties":{\#
        "key":{"type":"string"},"names":{"type":"array","items":{"type":"string"}},"not_before":{"type":"integer",\#
        "description":"Unix milliseconds"},"not_after":{"type":"integer","description":"Unix milliseconds"},"days_left":{\#
        "type":"integer"},"file":{"type":"string"}},"required":["key","names","not_before","not_after","days_left","file"],\#
        "additionalProperties":false}}},"required":["certificates"],"additionalProperties":false},\#
        "ConnectionStatistics":{"type":"object","properties":{"total_connections":{"type":"integer"},"active_connections":{\#
        "type":"integer"},"sessions_with_connections":{"type":"integer"},"detached_sessions":{"type":"integer"},\#
        "messages_in":{"type":"integer"},"messages_out":{"type":"integer"},"errors":{"type":"integer"},"uptime_ms":{\#
        "type":"integer"}},"required":["total_connections","active_connections","sessions_with_connections",\#
        "detached_sessions","messages_in","messages_out","errors","uptime_ms"],"additionalProperties":false},\#
        "ConnectionList":{"type":"object","properties":{"total_connections":{"type":"integer"},"active_connections":{\#
        "type":"integer"},"sessions_with_connections":{"type":"integer"},"detached_sessions":{"type":"integer"},\#
        "messages_in":{"type":"integer"},"messages_out":{"type":"integer"},"errors":{"type":"integer"},"uptime_ms":{\#
        "type":"integer"},"connections":{"type":"array","items":{"type":"object","properties":{"connection_id":{\#
        "type":"string"},"address":{"type":"string"},"connected_at":{"type":"integer","description":"Unix milliseconds"},\#
        "last_heard_at":{"type":"integer","description":"Unix milliseconds"},"messages_in":{"type":"integer"},"messages_out":{\#
        "type":"integer"},"bytes_in":{"type":"integer"},"bytes_out":{"type":"integer"},"errors":{"type":"integer"},\#
        "memory_bytes":{"type":"integer"},"queue_bytes":{"type":"integer"},"session_id":{"type":"string"},"user":{\#
        "type":"string"},"rtt_ms":{"type":"number"}},"required":["connection_id","address","connected_at","last_heard_at",\#
        "messages_in","messages_out","bytes_in","bytes_out","errors","memory_bytes","queue_bytes"],\#
        "additionalProperties":false}},"cursor":{"type":"string"}},"required":["total_connections","active_connections",\#
        "sessions_with_connections","detached_sessions","messages_in","messages_out","errors","uptime_ms","connections"],\#
        "additionalProperties":false},\#
        "RateLimits":{"type":"object","properties":{"rules":{"type":"array","items":{"type":"object","properties":{"rule":{\#
        "type":"string"},"limit":{"type":"number"},"refused_total":{"type":"integer"},"sessions_limited":{"type":"integer"}},\#
        "required":["rule","limit","refused_total","sessions_limited"],"additionalProperties":false}},"addresses":{\#
        "type":"array","items":{"type":"object","properties":{"address":{"type":"string"},"connections":{"type":"integer"},\#
        "rules":{"type":"array","items":{"type":"string"}}},"required":["address","connections","rules"],\#
        "additionalProperties":false}}},"required":["rules","addresses"],"additionalProperties":false},\#
        "Cleanup":{"type":"object","properties":{"sessions":{"type":"integer"},"addresses":{"type":"integer"},"limiters":{\#
        "type":"integer"},"memory_bytes":{"type":"integer"}},"required":["sessions","addresses","limiters","memory_bytes"],\#
        "additionalProperties":false},\#
        "Session":{"type":"object","properties":{"session_id":{"type":"string"},"state":{"enum":["attached","detached",\#
        "ended"]},"started_at":{"type":"integer","description":"Unix milliseconds"},"last_message_at":{"type":"integer",\#
        "description":"Unix milliseconds"},"messages_in":{"type":"integer"},"messages_out":{"type":"integer"},"bytes_in":{\#
        "type":"integer"},"bytes_out":{"type":"integer"},"errors":{"type":"integer"},"connections":{"type":"integer"},\#
        "resumes":{"type":"integer"},"audio_seconds":{"type":"number"},"in_flight":{"type":"integer"},"memory_bytes":{\#
        "type":"integer"},"memory_peak_bytes":{"type":"integer"},"tags":{"type":"array","items":{"type":"string"}},"user":{\#
        "type":"string"},"connected_at":{"type":"integer","description":"Unix milliseconds"},"expires_at":{"type":"integer",\#
        "description":"Unix milliseconds"},"ended_at":{"type":"integer","description":"Unix milliseconds"},"ending":{\#
        "type":"string"},"title":{"type":"string"},"queue_bytes":{"type":"integer"},"rtt_ms":{"type":"number"},"node":{"type":"string"}},\#
        "required":["session_id","state","started_at","last_message_at","messages_in","messages_out","bytes_in","bytes_out",\#
        "errors","connections","resumes","audio_seconds","in_flight","memory_bytes","memory_peak_bytes","tags"],\#
        "additionalProperties":false},\#
        "SessionList":{"type":"object","properties":{"sessions":{"type":"array","items":{\#
        "$ref":"#/components/schemas/Session"}},"cursor":{"type":"string"},"missing_nodes":{"type":"array","items":{\#
        "type":"string"}}},"required":["sessions"],"additionalProperties":false},\#
        "NodeList":{"type":"object","properties":{"nodes":{"type":"array","items":{"type":"object","properties":{"name":{\#
        "type":"string"},"id":{"type":"string"},"address":{"type":"string"},"sessions":{"type":"integer"},"started_at":{\#
        "type":"integer","description":"Unix milliseconds"},"self":{"type":"boolean"}},"required":["name","sessions",\#
        "started_at","self"],"additionalProperties":false}}},"required":["nodes"],"additionalProperties":false},\#
        "SessionDetails":{"type":"object","properties":{"session":{"$ref":"#/components/schemas/Session"},"latency":{\#
        "type":"object"},"timeline":{"type":"array","items":{"type":"object"}},"timeline_pruned":{"type":"integer"},\#
        "transcript_pruned":{"type":"integer"},"notes":{"type":"string"},"connection":{"type":"object"},"outbox":{\#
        "type":"object"},"transcript":{"type":"array","items":{"type":"object"}}},"required":["session","latency","timeline",\#
        "timeline_pruned","transcript_pruned"],"additionalProperties":false},\#
        "SessionAnnotation":{"type":"object"},\#
        "Text":{"type":"object","properties":{"text":{"type":"string"}},"required":["text"],"additionalProperties":false},\#
        "PushMessage":{"type":"object","properties":{"type":{"enum":["text","status","audio"]},"ttl":{"type":"string"}},\#
        "required":["type"]},\#
        "PushReceipt":{"type":"object","properties":{"id":{"type":"string"},"sessions":{"type":"array","items":{\#
        "type":"object","properties":{"session_id":{"type":"string"},"seq":{"type":"integer"}},"required":["session_id",\#
        "seq"],"additionalProperties":false}},"undelivered":{"type":"integer"},"missing_nodes":{"type":"array","items":{"type":"string"}}},\#
        "required":["id","sessions","undelivered"]},\#
        "Retry":{"type":"object","properties":{"ids":{"type":"array","items":{"type":"string"}}},"required":["ids"],\#
        "additionalProperties":false},\#
        "TokenRequest":{"type":"object","properties":{"user":{"type":"string"},"expires_in":{"type":"string"},"uses":{\#
        "type":"integer"},"parley":{"type":"object"}},"required":["user"],"additionalProperties":false},\#
        "Token":{"type":"object","properties":{"token":{"type":"string"},"expires_at":{"type":"integer",\#
        "description":"Unix milliseconds"}},"required":["token","expires_at"],"additionalProperties":false},\#
        "RevocationRequest":{"type":"object","properties":{"before":{"type":"integer","description":"Unix milliseconds"}},\#
        "required":[],"additionalProperties":false},\#
        "Revocation":{"type":"object","properties":{"user":{"type":"string"},"before":{"type":"integer",\#
        "description":"Unix milliseconds"},"connections_closed":{"type":"integer"}},"required":["user","before",\#
        "connections_closed"],"additionalProperties":false},\#
        "Usage":{"type":"object"}
        """#
}
