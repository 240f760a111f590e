#pragma once
// GET /openapi/v2: one document of the whole API, in JSON or protobuf. Built when somebody asks,
// kept compressed until nobody has asked for a while or the kinds have changed. io executor.
#include <array>
#include <memory>
#include <optional>
#include <string>

#include "api/base/executors.h"
#include "api/base/result.h"
#include "api/base/task.h"
#include "api/http/message.h"
#include "api/resources/registry.h"
#include "api/schema/openapi_v2.h"

namespace moth::server {

class OpenApiV2 {
 public:
  struct Document {
    http::SharedText gzip;
    std::string hash;  // of the kinds it is about, for the ETag
  };
  // How long a document is kept after its last use.
  static constexpr std::chrono::minutes kKept{5};

  OpenApiV2(Executors& executors, const resources::Registry& registry, std::string version);
  ~OpenApiV2();

  // The form that the client asks for; NotAcceptable (406) when it is neither.
  static Result<schema::OpenApiV2Form> form_of(std::string_view accept);
  static std::string_view media_type(schema::OpenApiV2Form form);

  // The hash that document() will have, without making the document.
  std::string hash(schema::OpenApiV2Form form) const;
  // Built on the blocking executor. At most one is built at a time.
  Task<Result<Document>> document(schema::OpenApiV2Form form);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace moth::server
