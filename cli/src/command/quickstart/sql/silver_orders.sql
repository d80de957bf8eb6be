-- Orders that pass every check and are not here yet, each once. Run it again whenever more have come.
INSERT INTO lake.silver.orders
WITH checked AS (
  SELECT o.*,
    CASE
      WHEN o.customer_id IS NULL THEN 'customer_id is missing'
      WHEN TRY_CAST(o.ordered_at AS TIMESTAMP) IS NULL THEN 'ordered_at is not a time'
      WHEN TRY_CAST(o.quantity AS INT) IS NULL THEN 'quantity is not a whole number'
      WHEN TRY_CAST(o.quantity AS INT) NOT BETWEEN 1 AND 100 THEN 'quantity is not between 1 and 100'
      WHEN COALESCE(TRY_CAST(o.unit_price AS DECIMAL(10, 2)), 0) <= 0 THEN 'unit_price is not positive'
      WHEN c.customer_id IS NULL THEN 'the customer is unknown'
      WHEN p.product_id IS NULL THEN 'the product is unknown'
    END AS reason
  FROM lake.bronze.orders AS o
  LEFT JOIN lake.silver.customers AS c ON c.customer_id = o.customer_id
  LEFT JOIN lake.silver.products AS p ON p.product_id = o.product_id
)
SELECT DISTINCT
  order_id,
  customer_id,
  product_id,
  TRY_CAST(quantity AS INT) AS quantity,
  TRY_CAST(unit_price AS DECIMAL(10, 2)) AS unit_price,
  CAST(TRY_CAST(quantity AS INT) * TRY_CAST(unit_price AS DECIMAL(10, 2)) AS DECIMAL(12, 2)) AS amount,
  TRY_CAST(ordered_at AS TIMESTAMP) AS ordered_at,
  CAST(TRY_CAST(ordered_at AS TIMESTAMP) AS DATE) AS order_date,
  CAST(TRY_CAST(ordered_at AS TIMESTAMP) AS DATE) < TRY_CAST(received_on AS DATE) AS late
FROM checked
WHERE reason IS NULL
  AND NOT EXISTS (SELECT 1 FROM lake.silver.orders AS known WHERE known.order_id = checked.order_id)
