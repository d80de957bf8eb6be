-- The others, as they came, with the reason in front.
INSERT INTO lake.silver.orders_rejects
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
SELECT reason, order_id, customer_id, product_id, quantity, unit_price, ordered_at, received_on
FROM checked
WHERE reason IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM lake.silver.orders_rejects AS known WHERE known.order_id = checked.order_id)
