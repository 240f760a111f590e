#include "runtime/agent/pod_manager.h"

#include "api/base/json.h"
#include "api/base/log.h"
#include "runtime/os/fs.h"

namespace moth::agent {

PodManager::PodManager(WorkerServices& services, client::ObjectReader& reader)
    : services_(services),
      reader_(reader),
      all_gone_(services.executors.control()),
      scope_(services.executors.control()) {}

PodManager::~PodManager() = default;

bool PodManager::mine(const Object& pod) const {
  return pod.view<resources::PodView>().node_name() == services_.node_name;
}

PodWorker* PodManager::find(const std::string& uid) const {
  auto it = workers_.find(uid);
  return it == workers_.end() ? nullptr : it->second.get();
}

std::vector<PodWorker*> PodManager::workers() const {
  std::vector<PodWorker*> all;
  for (const auto& [uid, worker] : workers_) all.push_back(worker.get());
  return all;
}

Task<Result<>> PodManager::start(bool rebooted) {
  MOTH_CO_TRY(co_await adopt(rebooted));
  for (const ObjectPtr& pod : reader_.list(client::gvr::kPods)) {
    if (mine(*pod) && !workers_.contains(pod->uid())) begin(pod, {}, false, false);
  }
  reader_.subscribe(client::gvr::kPods,
                    [this](const client::ObjectReader::Change& change) { changed(change); });
  co_return Result<>{};
}

Task<Result<>> PodManager::adopt(bool rebooted) {
  std::string folder = services_.paths.pods();
  if (!os::exists(folder)) co_return Result<>{};
  auto found = co_await call_on(
      services_.executors.blocking(), [&]() -> Result<std::vector<std::pair<std::string, Json>>> {
        std::vector<std::pair<std::string, Json>> checkpoints;
        MOTH_ASSIGN(auto entries, os::list_dir(folder));
        for (const auto& entry : entries) {
          auto text = os::read_file(services_.paths.checkpoint(entry.name));
          checkpoints.emplace_back(entry.name,
                                   text ? Json::parse(*text, nullptr, false) : Json(nullptr));
        }
        return checkpoints;
      });
  if (!found) co_return fail(found.error());
  for (const auto& [uid, checkpoint] : *found) {
    if (std::string ip = string_or(checkpoint, "podIP"); !ip.empty())
      services_.reserve_address(uid, ip);
  }
  std::vector<std::string> adopted;
  for (const auto& [uid, checkpoint] : *found) {
    adopt_one(uid, checkpoint, rebooted);
    adopted.push_back(uid);
  }
  // What the API knows of them may be older than they are: endpoints are made from what is
  // reported.
  for (const std::string& uid : adopted) {
    if (PodWorker* worker = find(uid)) co_await worker->wait_reported();
  }
  co_return Result<>{};
}

ObjectPtr PodManager::find_object(const std::string& uid) const {
  for (const ObjectPtr& pod : reader_.list(client::gvr::kPods)) {
    if (pod->uid() == uid) return pod;
  }
  return nullptr;
}

void PodManager::adopt_one(const std::string& uid, const Json& checkpoint, bool rebooted) {
  auto record =
      checkpoint.is_object() ? from_checkpoint(checkpoint) : Result<PodRecord>(PodRecord{});
  if (!record) {
    log::warning("a pod checkpoint is not readable", log::field("uid", uid),
                 log::field("error", record.error().message));
    record = PodRecord{};
  }
  std::string ns = string_or(checkpoint, "namespace"), name = string_or(checkpoint, "name");
  // A checkpoint may be cut off after a power loss: the folder still tells the uid.
  ObjectPtr pod = ns.empty() ? find_object(uid) : reader_.get(client::gvr::kPods, ns, name);
  if (pod && pod->uid() == uid && mine(*pod)) {
    begin(pod, std::move(*record), true, rebooted);
    return;
  }
  // Its object went while no daemon ran: a stand-in lets a worker end it properly.
  Json containers = Json::array();
  if (const Json* known = find_member(checkpoint, "containers"); known && known->is_object()) {
    for (const auto& [container, state] : known->items())
      containers.push_back({{"name", container}, {"image", string_or(state, "image")}});
  }
  Json ghost = {
      {"apiVersion", "v1"},
      {"kind", "Pod"},
      {"metadata",
       {{"name", name.empty() ? "unknown" : name},
        {"namespace", ns.empty() ? "default" : ns},
        {"uid", uid}}},
      {"spec", {{"nodeName", services_.node_name}, {"containers", std::move(containers)}}}};
  begin(Object::from_json(ghost), std::move(*record), true, rebooted);
  workers_[uid]->update(nullptr);
}

void PodManager::begin(const ObjectPtr& pod, PodRecord record, bool adopted, bool rebooted) {
  auto worker = std::make_unique<PodWorker>(services_, pod, std::move(record), adopted, rebooted);
  PodWorker* started = worker.get();
  workers_[pod->uid()] = std::move(worker);
  started->start();
  scope_.spawn("pod reaper", reap(pod->uid()));
  if (on_change) on_change();
}

Task<void> PodManager::reap(std::string uid) {
  PodWorker* worker = workers_[uid].get();
  co_await worker->wait_gone();
  co_await worker->detach();  // its tasks have nothing more to do
  workers_.erase(uid);
  if (workers_.empty()) all_gone_.notify();
  if (on_change) on_change();
}

void PodManager::changed(const client::ObjectReader::Change& change) {
  if (detached_) return;
  const Object& object = change.any();
  PodWorker* worker = find(object.uid());
  if (change.object && change.previous && change.object->uid() != change.previous->uid()) {
    if (PodWorker* old = find(change.previous->uid())) old->update(nullptr);
  }
  if (worker) {
    worker->update(change.object);
  } else if (change.object && mine(*change.object)) {
    begin(change.object, {}, false, false);
  }
}

void PodManager::refresh(const std::set<std::string>& pod_uids) {
  for (const std::string& uid : pod_uids) {
    if (PodWorker* worker = find(uid)) worker->refresh();
  }
}

Task<void> PodManager::stop_all() {
  detached_ = true;
  for (auto& [uid, worker] : workers_) worker->update(nullptr);
  while (!workers_.empty()) co_await all_gone_.wait();
}

Task<void> PodManager::detach() {
  detached_ = true;
  scope_.cancel();
  for (auto& [uid, worker] : workers_) co_await worker->detach();
  co_await scope_.join();
}

}  // namespace moth::agent
