//! Compute that is bought from clouds: GPUs and what they can do, dated prices and their arithmetic, schedules, queues,
//! ranges and policies of pools and fleets, the controller. Who buys is `provider/compute` and `runtime/fleet`.

mod candidate;
mod cloud;
mod controller;
mod controller_run;
mod cost;
mod drain;
mod enrol;
mod fleet;
mod fleet_job;
mod fleet_report;
mod gpu;
mod keda;
mod keda_check;
mod money;
mod name;
mod policy;
mod price;
mod price_table;
mod queue;
mod range;
pub mod runpod;
mod schedule;
mod within_reach;

pub use candidate::Candidate;
pub use cloud::{CloudKind, Lifecycle, Tenancy};
pub use controller::{
    FleetControllerSpec, FleetControllerSpecPath, FleetControllerSpecView, OnDemandLimitSpec,
    OnDemandLimitSpecPath, OnDemandLimitSpecView,
};
pub use controller_run::{
    CONTROLLER_PORT, IDENTITY_KEY, IDENTITY_SECRET, RUNPOD_KEY, RUNPOD_SECRET, check_stores, worker_reaches,
    worker_store,
};
pub use cost::{HOURS_PER_MONTH, RangeCost, range_cost};
pub use drain::{
    CONTROLLED, DrainSpec, DrainState, FAREWELL, Identity, MARGIN, Notices, Order, Phase, Reason, Report,
    WholeNode, WorkReport,
};
pub use enrol::{EnrolRequest, Enrolled, WorkOrder, enrol_variables};
pub use fleet::{
    FleetControllerRun, FleetDecision, FleetDefinition, FleetRecord, FleetStatus, FleetWork, RunpodAccess,
    fleet_collection,
};
pub use fleet_job::{FleetJobSpec, FleetRemovalSpec, FleetRemoved, FleetSource, FleetTaken};
pub use fleet_report::{
    FLEETS_ANNOTATION, FleetChange, FleetReport, FleetSeen, FleetsTold, fleet_generation,
};
pub use gpu::{GPUS_AS_OF, Gpu, GpuClass, Nvenc, gpu, gpu_names, gpus, nearest_gpu};
pub use keda::{
    KafkaTrigger, KedaScalerSpec, KedaScalerSpecPath, KedaScalerSpecView, SCALED_KINDS, ScaleNames,
    ScaleQueueSpec, ScaleQueueSpecPath, ScaleQueueSpecView, ScaleTargetSpec, ScaleTargetSpecPath,
    ScaleTargetSpecView,
};
pub use keda_check::{check_lanes, check_scaled, check_scaler, check_scaler_spec};
pub use money::Money;
pub use name::{GroupName, InstanceName, NAME_LIMIT, PREFIX};
pub use policy::{
    FallbackSpec, FallbackSpecPath, FallbackSpecView, PolicySpec, PolicySpecPath, PolicySpecView,
};
pub use price::{Price, Shape, cheapest, price, prices};
pub use price_table::PRICES_VERSION;
pub use queue::{QueueSpec, QueueSpecPath, QueueSpecView};
pub use range::{RangeSpec, RangeSpecPath, RangeSpecView};
pub use schedule::{
    Night, NightSpec, NightSpecPath, NightSpecView, ScheduleSpec, ScheduleSpecPath, ScheduleSpecView,
    month_of,
};
pub use within_reach::{OutOfReach, out_of_reach, store_out_of_reach};
