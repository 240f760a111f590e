#pragma once
// Request bodies in application/vnd.kubernetes.protobuf: kubectl's generators, helm's release
// Secrets and other typed clients send nothing else. Bodies become the JSON object that the same
// client would have sent as JSON; answers are always JSON. Pure; any thread.
//
// What Go cannot tell apart is dropped: an empty string, zero, false and an empty message of a
// field that is no pointer mean "not set". Pointers keep their zero (replicas: 0).
#include <cstddef>
#include <string>
#include <string_view>

#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/schema/types.h"

namespace moth::schema {

inline constexpr std::string_view kProtobufMediaType = "application/vnd.kubernetes.protobuf";

struct ProtobufLimits {
  std::size_t max_bytes = 3 * 1024 * 1024;
  std::size_t max_depth = 64;
};

// The outer message. The views point into the body.
struct ProtobufEnvelope {
  std::string_view api_version, kind;
  std::string_view raw;  // the encoded object
};

// True when `body` starts with the magic bytes "k8s\0".
bool is_protobuf(std::string_view body);
// 400 when the body is no envelope.
Result<ProtobufEnvelope> read_protobuf_envelope(std::string_view body);

// The whole body as JSON, with apiVersion and kind set. 400 for malformed or truncated input, 413
// beyond max_bytes, 415 for a kind that the built-in table does not know.
Result<Json> decode_protobuf(std::string_view body, const ProtobufLimits& limits = {});

// One message without an envelope.
Result<Json> decode_protobuf_message(Type type, std::string_view message,
                                     const ProtobufLimits& limits = {});

}  // namespace moth::schema
