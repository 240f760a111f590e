#pragma once
// The annotations by which a Deployment keeps book on its ReplicaSets: revision, revision-history,
// desired-replicas, max-replicas, and copies of the Deployment's own (kubernetes.io/change-cause
// among them). Pure functions; those that change say whether they did.
#include <cstdint>
#include <optional>

#include "api/machinery/labels.h"

namespace moth::controllers {

// 0 when there is none or it is no number.
std::int64_t revision_of(const Labels& annotations);
std::optional<std::int32_t> desired_replicas_of(const Labels& annotations);

// All but the book-keeping and kubectl's last-applied-configuration.
bool copy_annotations(const Labels& from, Labels& to);
// Raises the revision; the one before goes into the history. A higher one stays.
bool raise_revision(Labels& annotations, std::int64_t revision);
bool put_replicas(Labels& annotations, std::int32_t desired, std::int32_t max);

}  // namespace moth::controllers
