#include "emulated_stream.h"

#include <set>

namespace lowbit::emulation {
namespace {

Stream& default_stream() {
  static auto* const stream = new Stream;
  return *stream;
}

std::set<Stream*>& streams() {
  static auto* const all = new std::set<Stream*>{&default_stream()};
  return *all;
}

thread_local cudaStreamCaptureMode thread_mode = cudaStreamCaptureModeGlobal;

bool forbids_unsafe_calls(const Capture& capture) {
  if (thread_mode == cudaStreamCaptureModeRelaxed || capture.mode == cudaStreamCaptureModeRelaxed) return false;
  return capture.thread == std::this_thread::get_id() ||
         (thread_mode == cudaStreamCaptureModeGlobal && capture.mode == cudaStreamCaptureModeGlobal);
}

// Spoils the captures that forbid a call.
template <typename Forbids>
cudaError_t refuse(Forbids forbids) {
  cudaError_t error = cudaSuccess;
  for (Stream* stream : streams()) {
    if (stream->capture == nullptr || !forbids(*stream->capture)) continue;
    stream->capture->is_valid = false;
    error = cudaErrorStreamCaptureUnsupported;
  }
  return error;
}

void run_to(const Marker& marker) {
  while (!marker.is_reached) marker.stream->run_next();
}

// The answer to waiting for an event.
cudaError_t refuse_waiting(const Event& event) {
  if (event.last->capture == nullptr) return refuse_unsafe();
  refuse([&](const Capture& capture) { return &capture == event.last->capture.get(); });
  return cudaErrorCapturedEvent;
}

}  // namespace

cudaError_t Stream::enqueue(Work work) {
  if (capture == nullptr) return queue.push_back(std::move(work)), cudaSuccess;
  if (!capture->is_valid) return cudaErrorStreamCaptureInvalidated;
  capture->work.push_back(std::move(work));
  return cudaSuccess;
}

void Stream::run_next() {
  const Work work = std::move(queue.front());
  queue.pop_front();
  work();
}

void Stream::run_all() {
  while (!queue.empty()) run_next();
}

Stream* find_stream(cudaStream_t handle) {
  if (handle == nullptr) return &default_stream();
  return streams().contains(handle) ? handle : nullptr;
}

void run_all_streams() {
  for (Stream* stream : streams()) stream->run_all();
}

cudaError_t refuse_unsafe() { return refuse(forbids_unsafe_calls); }
cudaError_t refuse_in_capture(const Stream& stream) {
  return refuse([&](const Capture& capture) { return &capture == stream.capture.get(); });
}

}  // namespace lowbit::emulation

using namespace lowbit::emulation;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return call(__func__, [=] { return *stream = *streams().insert(new Stream).first, cudaSuccess; });
}

cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  return call_on(__func__, handle, [](Stream& stream) {
    if (&stream == &default_stream()) return cudaErrorInvalidResourceHandle;
    stream.run_all();
    streams().erase(&stream);
    delete &stream;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return call_on(__func__, handle, [](Stream& stream) {
    if (const cudaError_t error = refuse_in_capture(stream); error != cudaSuccess) return error;
    ++device.synchronizations;
    stream.run_all();
    return cudaSuccess;
  });
}

// Work goes on a step at a time, so that who polls sees it unfinished.
cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return call_on(__func__, handle, [](Stream& stream) {
    if (const cudaError_t error = refuse_in_capture(stream); error != cudaSuccess) return error;
    if (stream.queue.empty()) return cudaSuccess;
    stream.run_next();
    return cudaErrorNotReady;
  });
}

cudaError_t cudaDeviceSynchronize() {
  return call(__func__, [] {
    if (const cudaError_t error = refuse([](const Capture&) { return true; }); error != cudaSuccess) return error;
    ++device.synchronizations;
    run_all_streams();
    return cudaSuccess;
  });
}

// ---- Events ----------------------------------------------------------------------------------------------------------

cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return call(__func__, [=] {
    ++device.events;
    return *event = new Event{(flags & cudaEventDisableTiming) == 0, nullptr}, cudaSuccess;
  });
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return call(__func__, [=] {
    --device.events;
    return delete event, cudaSuccess;
  });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
  return call_on(__func__, handle, [=](Stream& stream) {
    const auto marker = std::make_shared<Marker>(Marker{&stream, stream.capture});
    event->last = marker;
    if (stream.capture != nullptr) return cudaSuccess;
    return stream.enqueue([marker] {
      marker->is_reached = true;
      marker->time = std::chrono::steady_clock::now();
    });
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned) {
  return call_on(__func__, handle, [=](Stream& stream) {
    const std::shared_ptr<Marker> marker = event->last;
    if (marker == nullptr) return cudaSuccess;
    // A capture's work stays in the order of the calls, so whoever joins it has waited.
    if (marker->capture != nullptr) {
      if (stream.capture == nullptr) stream.capture = marker->stream->capture;
      return stream.capture == marker->capture ? cudaSuccess : cudaErrorStreamCaptureIsolation;
    }
    if (refuse_in_capture(stream) != cudaSuccess) return cudaErrorStreamCaptureIsolation;
    return stream.enqueue([marker] { run_to(*marker); });
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return call(__func__, [=] {
    if (event->last == nullptr) return cudaSuccess;
    if (const cudaError_t error = refuse_waiting(*event); error != cudaSuccess) return error;
    ++device.synchronizations;
    run_to(*event->last);
    return cudaSuccess;
  });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  return call(__func__, [=] {
    if (event->last == nullptr) return cudaSuccess;
    if (const cudaError_t error = refuse_waiting(*event); error != cudaSuccess) return error;
    if (event->last->is_reached) return cudaSuccess;
    event->last->stream->run_next();
    return cudaErrorNotReady;
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return call(__func__, [=] {
    if (!start->is_timed || !end->is_timed || start->last == nullptr || end->last == nullptr) {
      return cudaErrorInvalidResourceHandle;
    }
    if (!start->last->is_reached || !end->last->is_reached) return cudaErrorNotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(end->last->time - start->last->time).count();
    return cudaSuccess;
  });
}

// ---- Capture ---------------------------------------------------------------------------------------------------------

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  return std::swap(*mode, thread_mode), cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  return call_on(__func__, handle, [=](Stream& stream) {
    *status = stream.capture == nullptr  ? cudaStreamCaptureStatusNone
              : stream.capture->is_valid ? cudaStreamCaptureStatusActive
                                         : cudaStreamCaptureStatusInvalidated;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  return call_on(__func__, handle, [=](Stream& stream) {
    if (&stream == &default_stream()) return cudaErrorStreamCaptureUnsupported;
    if (stream.capture != nullptr) return cudaErrorIllegalState;
    stream.capture = std::make_shared<Capture>(Capture{&stream, mode, std::this_thread::get_id()});
    return cudaSuccess;
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
  return call_on(__func__, handle, [=](Stream& stream) {
    const std::shared_ptr<Capture> capture = stream.capture;
    if (capture == nullptr) return cudaErrorIllegalState;
    if (capture->origin != &stream) return cudaErrorStreamCaptureUnmatched;
    if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != std::this_thread::get_id()) {
      return cudaErrorStreamCaptureWrongThread;
    }
    for (Stream* joined : streams()) {
      if (joined->capture == capture) joined->capture = nullptr;
    }
    *graph = capture->is_valid ? new Graph{std::move(capture->work)} : nullptr;
    return capture->is_valid ? cudaSuccess : cudaErrorStreamCaptureInvalidated;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  return call(__func__, [=] { return *exec = new GraphExec{graph->work}, cudaSuccess; });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t handle) {
  return call_on(__func__, handle, [=](Stream& stream) {
    for (const Work& work : exec->work) {
      if (const cudaError_t error = stream.enqueue(work); error != cudaSuccess) return error;
    }
    return cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return call(__func__, [=] { return delete graph, cudaSuccess; });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  return call(__func__, [=] { return delete exec, cudaSuccess; });
}
