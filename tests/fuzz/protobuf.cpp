// Kubernetes protobuf bodies.
#include "api/schema/protobuf.h"
#include "api/base/json.h"
#include "api/machinery/json_text.h"
#include "api/schema/decode.h"
#include "tests/fuzz/fuzz.h"

using namespace moth;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view bytes = fuzz::text_of(data, size);
  if (auto value = schema::decode_protobuf(bytes)) {
    fuzz::check(value->is_object(), "a body is an object");
  }
  for (const char* name : {"core.v1.Pod", "apps.v1.Deployment", "core.v1.Secret"}) {
    auto value = schema::decode_protobuf_message(schema::find_type(name), bytes);
    if (!value) continue;
    std::string text = dump_json(*value);
    fuzz::check(parse_json(text).has_value(), "a message prints as JSON");
  }
  return 0;
}
