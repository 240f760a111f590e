#pragma once
// LocalClient: the ObjectClient of code inside the daemon. It runs the API server's own pipeline in
// process, as a system user of its own, so that what controllers write is defaulted, validated and
// admitted as everything else. LocalReader: direct reads of committed state. Control thread.
#include <memory>
#include <string>

#include "api/client/object_client.h"
#include "api/server/pipeline.h"

namespace moth {

class LocalReader final : public client::ObjectReader {
 public:
  LocalReader(const resources::Registry& registry, server::Storage& storage);
  ObjectPtr get(const Gvr& gvr, std::string_view ns, std::string_view name) const override;
  std::vector<ObjectPtr> list(const Gvr& gvr, std::string_view ns) const override;
  void subscribe(const Gvr& gvr, Listener listener) override;

 private:
  // Null for a custom resource that is gone.
  const resources::ResourceDef* def(const Gvr& gvr) const;
  const resources::Registry& registry_;
  server::Storage& storage_;
};

class LocalClient final : public client::ObjectClient {
 public:
  // `user` as system:serviceaccount:kube-system:deployment-controller or system:node:NAME. Fields
  // that it writes belong to the manager that stands for it upstream (kube-controller-manager,
  // kube-scheduler, kubelet), unless the write names one.
  LocalClient(server::Pipeline& pipeline, std::string user);
  Task<Result<ObjectPtr>> get(Gvr gvr, std::string ns, std::string name,
                              std::string subresource) override;
  Task<Result<client::ObjectList>> list(Gvr gvr, std::string ns,
                                        client::ListOptions options) override;
  // Inside the daemon, ObjectReader::subscribe is the way; this answers MethodNotAllowed.
  Task<Result<std::unique_ptr<client::WatchStream>>> watch(Gvr gvr, std::string ns,
                                                           client::ListOptions options) override;
  Task<Result<ObjectPtr>> create(Gvr gvr, std::string ns, Json object, client::WriteOptions options,
                                 std::string name) override;
  Task<Result<ObjectPtr>> update(Gvr gvr, std::string ns, std::string name, Json object,
                                 client::WriteOptions options) override;
  Task<Result<ObjectPtr>> patch(Gvr gvr, std::string ns, std::string name, client::PatchType type,
                                Json patch, client::WriteOptions options) override;
  Task<Result<ObjectPtr>> remove(Gvr gvr, std::string ns, std::string name,
                                 client::DeleteOptions options) override;

 private:
  Result<server::Target> target(const Gvr& gvr, std::string ns, std::string name,
                                std::string subresource) const;
  server::RequestContext context(const client::WriteOptions& options) const;

  server::Pipeline& pipeline_;
  std::string user_;
  std::string manager_;  // of the fields that it writes
};

}  // namespace moth
