#pragma once
// The OpenAPI v3 documents of the registered group-versions, built when first asked for and kept
// until the rows of their group-version change. io executor.
#include <map>
#include <optional>
#include <string>

#include "api/base/task.h"
#include "api/http/message.h"
#include "api/resources/registry.h"

namespace moth::server {

class OpenApi {
 public:
  struct Document {
    http::SharedText text;
    std::string hash;
  };
  OpenApi(const resources::Registry& registry, std::string version);
  // The document of a path such as "api/v1" or "apis/apps/v1"; none when there is no such path.
  // Custom kinds may be large, so their documents are made on `background`.
  Task<std::optional<Document>> document(std::string path, asio::any_io_executor background);
  Document index();

 private:
  const resources::Registry& registry_;
  std::string version_;
  void forget_changed();
  std::uint64_t generation_ = 0;  // of the registry when the rest was made
  std::map<std::string, Document> documents_;
  std::optional<Document> index_;
};

}  // namespace moth::server
