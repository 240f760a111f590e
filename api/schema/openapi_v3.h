#pragma once
// OpenAPI v3 of a group-version as JSON text: what kubectl fetches for --validate and explain.
//
// A document is some hundred kB for core/v1, so the caller builds it when first asked for and keeps
// the text (or its compressed form). Pure; any thread.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/schema/types.h"

namespace moth::schema {

struct ResourceInfo {
  struct Subresource {
    std::string name;                  // status, scale, log
    std::string group, version, kind;  // of its body: autoscaling, v1, Scale
    std::vector<std::string> verbs;    // get, patch, update, create
    Type type;                         // empty: no schema is given for its body
  };
  std::string group, version;  // "" for core
  std::string resource;        // deployments
  std::string kind;            // Deployment
  bool namespaced = true;
  std::vector<std::string>
      verbs;       // create, delete, deletecollection, get, list, patch, update, watch
  Type type;       // empty: operations without schemas
  Type list_type;  // DeploymentList; empty: none
  std::vector<Subresource> subresources;
};

struct OpenApiOptions {
  std::string title = "Kubernetes";
  std::string version = "v1.35.0";  // info.version
};

// The document of one group-version. `resources` of other group-versions are skipped.
std::string openapi_v3_document(std::string_view group, std::string_view version,
                                std::span<const ResourceInfo> resources,
                                const OpenApiOptions& options = {});

// 128 bits of the content in upper-case hex, for the index's ?hash= and the ETag.
std::string openapi_hash(std::string_view document);

struct OpenApiIndexEntry {
  std::string group, version;
  std::string hash;
};
// The body of GET /openapi/v3.
std::string openapi_v3_index(std::span<const OpenApiIndexEntry> entries);

// "api/v1", "apis/apps/v1": the path of a group-version, in the index and after /openapi/v3/.
std::string group_version_path(std::string_view group, std::string_view version);
// "io.k8s.api.apps.v1.Deployment": the name of a type below components.schemas.
std::string openapi_name(Type type);

}  // namespace moth::schema
