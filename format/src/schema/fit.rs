//! Whether every value of one type can be stored as another without loss.

use super::{DataType, PrimitiveType, StructType};

/// True when every value of `from` is a value of `into` as well. Nested types are compared part by part, fields by
/// name ignoring case; a field that `from` lacks must be nullable in `into`. Whether nulls are there is a question to
/// the data, so nullability of present parts is not looked at. Reflexive and transitive.
pub fn fits(from: &DataType, into: &DataType) -> bool {
    match (from, into) {
        (DataType::Void, _) => true,
        (DataType::Primitive(from), DataType::Primitive(into)) => primitive_fits(*from, *into),
        (DataType::Struct(from), DataType::Struct(into)) => struct_fits(from, into),
        (DataType::Array(from), DataType::Array(into)) => fits(&from.element_type, &into.element_type),
        (DataType::Map(from), DataType::Map(into)) => {
            fits(&from.key_type, &into.key_type) && fits(&from.value_type, &into.value_type)
        }
        (DataType::Variant, DataType::Variant) => true,
        _ => false,
    }
}

fn struct_fits(from: &StructType, into: &StructType) -> bool {
    let kept = from.fields.iter().all(|f| into.field(&f.name).is_some_and(|i| fits(&f.data_type, &i.data_type)));
    kept && into.fields.iter().all(|i| i.nullable || from.field(&i.name).is_some())
}

fn primitive_fits(from: PrimitiveType, into: PrimitiveType) -> bool {
    use PrimitiveType::{Byte, Decimal, Double, Float, Integer, Long, Short};
    if from == into {
        return true;
    }
    match (from, into) {
        (Byte, Short | Integer | Long | Float | Double) => true,
        (Short, Integer | Long | Float | Double) => true,
        (Integer, Long | Double) => true,
        (Float, Double) => true,
        (Byte | Short | Integer | Long, Decimal { precision, scale }) => {
            precision.saturating_sub(scale) >= integer_digits(from)
        }
        (Decimal { precision: p1, scale: s1 }, Decimal { precision: p2, scale: s2 }) => {
            s2 >= s1 && p2.saturating_sub(s2) >= p1.saturating_sub(s1)
        }
        _ => false,
    }
}

/// Digits that the largest value of an integer type has.
fn integer_digits(primitive: PrimitiveType) -> u8 {
    match primitive {
        PrimitiveType::Byte => 3,
        PrimitiveType::Short => 5,
        PrimitiveType::Integer => 10,
        _ => 19,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ArrayType, StructField};
    use super::*;

    fn decimal(precision: u8, scale: u8) -> DataType {
        DataType::Primitive(PrimitiveType::Decimal { precision, scale })
    }

    fn every_primitive() -> Vec<DataType> {
        use PrimitiveType::*;
        let mut all: Vec<DataType> =
            [String, Long, Integer, Short, Byte, Float, Double, Boolean, Binary, Date, Timestamp, TimestampNtz]
                .map(DataType::Primitive)
                .into();
        for (p, s) in [(1, 0), (3, 0), (5, 2), (10, 0), (12, 2), (19, 0), (38, 0), (38, 38), (38, 10)] {
            all.push(decimal(p, s));
        }
        all.push(DataType::Void);
        all.push(DataType::Variant);
        all
    }

    #[test]
    fn is_reflexive_and_transitive() {
        let all = every_primitive();
        for a in &all {
            assert!(fits(a, a), "{a}");
            for b in all.iter().filter(|b| fits(a, b)) {
                for c in all.iter().filter(|c| fits(b, c)) {
                    assert!(fits(a, c), "{a} -> {b} -> {c}");
                }
            }
        }
    }

    #[test]
    fn widening_fits_and_narrowing_does_not() {
        use PrimitiveType::*;
        let yes = [(Byte, Short), (Short, Integer), (Integer, Long), (Float, Double), (Integer, Double), (Byte, Float)];
        for (from, into) in yes {
            assert!(fits(&DataType::Primitive(from), &DataType::Primitive(into)), "{from} -> {into}");
            assert!(!fits(&DataType::Primitive(into), &DataType::Primitive(from)), "{into} -> {from}");
        }
        let no = [
            (Long, Double),
            (Integer, Float),
            (Date, Timestamp),
            (Timestamp, TimestampNtz),
            (TimestampNtz, Timestamp),
            (String, Binary),
            (Boolean, Byte),
            (Long, String),
        ];
        for (from, into) in no {
            assert!(!fits(&DataType::Primitive(from), &DataType::Primitive(into)), "{from} -> {into}");
        }
    }

    #[test]
    fn decimals_need_room_on_both_sides_of_the_point() {
        assert!(fits(&decimal(10, 2), &decimal(12, 4)));
        assert!(!fits(&decimal(10, 2), &decimal(11, 4)));
        assert!(!fits(&decimal(10, 2), &decimal(38, 1)));
        for (ty, digits) in [(PrimitiveType::Byte, 3), (PrimitiveType::Short, 5), (PrimitiveType::Integer, 10)] {
            assert!(fits(&DataType::Primitive(ty), &decimal(digits, 0)));
            assert!(fits(&DataType::Primitive(ty), &decimal(digits + 4, 4)));
            assert!(!fits(&DataType::Primitive(ty), &decimal(digits + 4, 5)));
        }
        assert!(fits(&DataType::Primitive(PrimitiveType::Long), &decimal(19, 0)));
        assert!(!fits(&DataType::Primitive(PrimitiveType::Long), &decimal(19, 1)));
        assert!(!fits(&decimal(1, 0), &DataType::Primitive(PrimitiveType::Byte)));
    }

    #[test]
    fn nested_types_fit_part_by_part() {
        let field = |name: &str, ty, nullable| StructField::new(name, DataType::Primitive(ty), nullable);
        let small = DataType::Struct(StructType::new(vec![field("A", PrimitiveType::Byte, true)]));
        let wide = |nullable| {
            let fields = vec![field("b", PrimitiveType::Long, nullable), field("a", PrimitiveType::Long, true)];
            DataType::Struct(StructType::new(fields))
        };
        assert!(fits(&small, &wide(true)));
        assert!(!fits(&small, &wide(false)), "a field that may not be null has no value");
        assert!(!fits(&wide(true), &small));
        let list = |element_type| DataType::Array(Box::new(ArrayType { element_type, contains_null: true }));
        assert!(fits(&list(small.clone()), &list(wide(true))));
        assert!(!fits(&list(small), &wide(true)));
    }
}
