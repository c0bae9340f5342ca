//! Prices per hour of shapes, from the dated table.

use super::cloud::{CloudKind, Lifecycle, Tenancy};
use super::price_table::TABLE;
use super::{Money, gpu};

/// What an instance is: an instance type, machine type or size; on RunPod the GPU itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The cloud's name for it: `g6e.xlarge`.
    pub name: &'static str,
    /// Its GPU, as `gpu` names it.
    pub gpu: &'static str,
    /// How many of them.
    pub gpus: u32,
}

/// What a shape costs per hour somewhere, as somebody published it on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// The cloud.
    pub cloud: CloudKind,
    /// The region; empty where the price is the same in all of them.
    pub region: &'static str,
    /// What it is the price of.
    pub shape: Shape,
    /// How it is bought.
    pub lifecycle: Lifecycle,
    /// Whose machines they are.
    pub tenancy: Tenancy,
    /// Whether it is the price of a serverless worker.
    pub serverless: bool,
    /// Per hour and instance.
    pub hourly: Money,
    /// Who published it.
    pub source: &'static str,
    /// When (year, month, day).
    pub date: &'static str,
}

/// The whole table.
pub fn prices() -> &'static [Price] {
    TABLE
}

/// The price of a shape (by its cloud's name, or by its GPU's where one of them is rented) in a region. Where the table
/// lacks the region it is that of the cheapest other one: `Price::region` says which.
pub fn price(cloud: CloudKind, region: &str, shape: &str, lifecycle: Lifecycle) -> Option<&'static Price> {
    let by_gpu = gpu(shape).map(|it| it.name);
    let fits = |it: &&Price| {
        let named = it.shape.name.eq_ignore_ascii_case(shape);
        let same = named || it.shape.gpus == 1 && by_gpu == Some(it.shape.gpu);
        it.cloud == cloud && same && it.lifecycle == lifecycle && !it.serverless
    };
    let here = TABLE.iter().filter(fits).filter(|it| it.region.is_empty() || it.region == region);
    here.min_by_key(|it| it.hourly).or_else(|| TABLE.iter().filter(fits).min_by_key(|it| it.hourly))
}

/// The cheapest way to have one GPU of a model, anywhere in the table.
pub fn cheapest(model: &str) -> Option<&'static Price> {
    let name = gpu(model)?.name;
    TABLE.iter().filter(|it| it.shape.gpu == name && it.shape.gpus == 1).min_by_key(|it| it.hourly)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_names_a_gpu_that_the_other_table_has_and_says_where_it_comes_from() {
        for row in TABLE {
            let found = gpu(row.shape.gpu).unwrap_or_else(|| panic!("{}", row.shape.gpu));
            assert_eq!(found.name, row.shape.gpu);
            assert!(row.hourly > Money::ZERO && !row.source.is_empty());
            assert!(row.date.parse::<jiff::civil::Date>().is_ok(), "{row:?}");
            assert!(row.date <= crate::compute::PRICES_VERSION, "{row:?} is younger than the table");
        }
    }

    #[test]
    fn spot_is_cheaper_than_on_demand_wherever_both_are_known() {
        for row in TABLE.iter().filter(|it| it.lifecycle == Lifecycle::Spot) {
            let full = price(row.cloud, row.region, row.shape.name, Lifecycle::OnDemand).unwrap();
            assert!(row.hourly < full.hourly, "{row:?}");
        }
    }

    #[test]
    fn a_shape_is_found_by_its_own_name_and_by_its_gpu() {
        let one = price(CloudKind::Aws, "us-east-1", "g6.xlarge", Lifecycle::OnDemand).unwrap();
        assert_eq!(one.hourly, Money::micros(805_000));
        assert_eq!(price(CloudKind::Aws, "us-east-1", "L4", Lifecycle::OnDemand), Some(one));
        let far = price(CloudKind::Aws, "eu-west-1", "L4", Lifecycle::OnDemand).unwrap();
        assert_eq!(far.region, "us-east-1", "it says that it is another region's");
        let pod = price(CloudKind::Runpod, "US-TX-3", "NVIDIA A100 80GB PCIe", Lifecycle::OnDemand).unwrap();
        assert_eq!(pod.hourly, Money::micros(1_390_000));
        assert!(price(CloudKind::Runpod, "", "A100", Lifecycle::Spot).is_none(), "RunPod has no spot");
    }
}
