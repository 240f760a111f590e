#pragma once
// PodView: what scheduler, controllers and node act upon of one pod. Built and kept by
// `object.view<PodView>()` on the control thread; immutable, and valid as long as its object, whose
// metadata it refers to.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/machinery/object.h"
#include "api/resources/conditions.h"
#include "api/resources/core_v1/pod_spec.h"

namespace moth::resources {

enum class PodPhase : std::uint8_t { kPending, kRunning, kSucceeded, kFailed, kUnknown };
std::string_view to_string(PodPhase phase);

enum class QosClass : std::uint8_t { kGuaranteed, kBurstable, kBestEffort };
std::string_view to_string(QosClass qos);

struct ContainerState {
  enum class Kind : std::uint8_t { kNone, kWaiting, kRunning, kTerminated };
  Kind kind = Kind::kNone;
  std::string reason, message;          // waiting, terminated
  std::optional<WallTime> started_at;   // running, terminated
  std::optional<WallTime> finished_at;  // terminated
  std::int32_t exit_code = 0, signal = 0;
};

struct ContainerStatus {
  std::string name, image, image_id, container_id;
  ContainerState state, last_state;
  bool ready = false;
  std::optional<bool> started;
  std::int32_t restart_count = 0;
};

class PodView {
 public:
  explicit PodView(const Object& object);

  const Meta& meta() const { return *meta_; }
  const std::string& name() const { return meta_->name; }
  const std::string& ns() const { return meta_->ns; }
  const std::string& uid() const { return meta_->uid; }

  const PodSpec& spec() const { return spec_; }
  const std::vector<Container>& containers() const { return spec_.containers; }
  const std::vector<Container>& init_containers() const { return spec_.init_containers; }
  const std::string& node_name() const { return spec_.node_name; }
  // What scheduling counts (6.4 of the behaviours), and the limits likewise.
  const ResourceList& requests() const { return spec_.requests; }
  const ResourceList& limits() const { return spec_.limits; }
  QosClass qos() const { return qos_; }
  // spec.priority of 2000000000 or more.
  bool is_critical() const { return spec_.priority >= 2'000'000'000; }

  PodPhase phase() const { return phase_; }
  const std::string& reason() const { return reason_; }
  const std::string& message() const { return message_; }
  // Succeeded or Failed: nothing of it runs any more.
  bool is_finished() const { return phase_ == PodPhase::kSucceeded || phase_ == PodPhase::kFailed; }
  bool is_deleting() const { return meta_->deletion_time.has_value(); }
  // Neither finished nor being deleted: what controllers count.
  bool is_active() const { return !is_finished() && !is_deleting(); }
  const std::vector<Condition>& conditions() const { return conditions_; }
  const Condition* condition(std::string_view type) const;
  bool is_scheduled() const { return !spec_.node_name.empty(); }
  // The condition Ready is True.
  bool is_ready() const;
  std::optional<WallTime> ready_since() const;
  // Ready for at least `min_ready` at `now`.
  bool is_available(std::chrono::seconds min_ready, WallTime now) const;

  const std::string& pod_ip() const { return pod_ip_; }  // "" before the network is there
  const std::vector<std::string>& pod_ips() const { return pod_ips_; }
  const std::string& host_ip() const { return host_ip_; }
  const std::string& nominated_node() const { return nominated_node_; }
  const std::optional<WallTime>& start_time() const { return start_time_; }
  const std::vector<ContainerStatus>& container_statuses() const { return container_statuses_; }
  const std::vector<ContainerStatus>& init_statuses() const { return init_statuses_; }
  const std::vector<ContainerStatus>& ephemeral_statuses() const { return ephemeral_statuses_; }
  const ContainerStatus* container_status(std::string_view name) const;  // of all three
  std::int32_t restart_count() const;  // of app containers and sidecars

 private:
  const Meta* meta_;
  PodSpec spec_;
  QosClass qos_ = QosClass::kBestEffort;
  PodPhase phase_ = PodPhase::kPending;
  std::string reason_, message_, pod_ip_, host_ip_, nominated_node_;
  std::vector<std::string> pod_ips_;
  std::optional<WallTime> start_time_;
  std::vector<Condition> conditions_;
  std::vector<ContainerStatus> container_statuses_, init_statuses_, ephemeral_statuses_;
};

}  // namespace moth::resources
